"""Logins with an identity token of the CI system: twokey gets it itself, for the audience that the login needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from support.ci_systems import ENTRA, TokenService, become, jwt
from support.local_variables import watched
from twokey.core.errors import BadCredentials, TwokeyError, UsageError
from twokey.destinations.registry import open_destination
from twokey.testing.contract import Hurried, fresh_credential, services_of
from twokey.testing.fakes.azure_keyvault import CLIENT, TENANT, KeyVault
from twokey.testing.fakes.gcp_secretmanager import EXCHANGE, SERVICE_ACCOUNT, Google
from twokey.testing.fakes.vault import Vault

from destinations.stores import test_azure_keyvault, test_gcp_secretmanager, test_vault  # isort: skip

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.core.destination import Destination

VAULT = "https://vault.example"
PROVIDER = "projects/7/locations/global/workloadIdentityPools/ci/providers/github"


@pytest.fixture
def ci(monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenService]:
    """A job of GitHub Actions that may request identity tokens."""
    with TokenService() as service:
        become(monkeypatch, **service.github_job())
        yield service


class Login:
    """A destination that accepts each identity token once, and only for its audience."""

    def __init__(self, service: Any, audience: str) -> None:
        self.service = service
        self.audience = audience
        self.used: list[str] = []
        self.settings: dict[str, Any] = {}
        self.backend: Any = None

    def accepts(self, token: str | None) -> bool:
        self.used.append(str(token))
        return token == jwt(self.audience, number=len(self.used) - 1)

    def __contains__(self, token: str) -> bool:
        return self.accepts(token)

    def open(self, **settings: Any) -> Destination:
        found = services_of(self.backend, Hurried(), {"url": self.service.url, **self.settings, **settings})
        return open_destination(self.backend.url, found)


@pytest.fixture(params=["vault", "azure", "google", "google as a service account"])
def login(request: pytest.FixtureRequest, ci: TokenService) -> Iterator[Login]:
    kind = request.param
    if kind == "vault":
        with Vault() as vault:
            found = Login(vault, VAULT)
            vault.tokens.clear()
            vault.logins["jwt"] = lambda body: found.accepts(body.get("jwt"))
            found.backend = test_vault.Secret(vault)
            found.settings = {"jwt": {"role": "twokey", "jwt": {"oidc": VAULT}}}
            yield found
    elif kind == "azure":
        with KeyVault() as azure:
            found = Login(azure, ENTRA)
            azure.assertions = cast("Any", found)
            found.backend = test_azure_keyvault.Secret(azure)
            found.settings = {"authority": azure.url, "tenant": TENANT, "client": CLIENT}
            found.settings["federated_token"] = {"oidc": ENTRA}
            yield found
    else:
        with Google() as google:
            google.tokens.clear()
            found = Login(google, f"https://iam.googleapis.com/{PROVIDER}")
            google.logins[EXCHANGE] = lambda form: (
                form.get("audience") == f"//iam.googleapis.com/{PROVIDER}" and found.accepts(form.get("subject_token"))
            )
            found.backend = test_gcp_secretmanager.Secret(google)
            federation = {"provider": PROVIDER, "sts": f"{google.url}/v1/token", "iam": google.url}
            account = {"service_account": SERVICE_ACCOUNT} if "account" in kind else {}
            found.settings = {"workload_identity": {**federation, **account}}
            yield found


def test_an_identity_token_is_got_for_each_login_and_for_its_audience(login: Login, ci: TokenService) -> None:
    destination = login.open()
    assert destination.deliver(fresh_credential()).written
    login.service.tokens.clear()
    assert destination.deliver(fresh_credential()).written
    assert login.used == ci.granted
    assert len(ci.granted) == 2


def test_no_variable_shows_the_identity_token(login: Login, ci: TokenService) -> None:
    destination = login.open()
    with watched(jwt(login.audience, number=0)):
        destination.held()
    assert len(ci.granted) == 1


def test_a_job_that_may_not_request_one_is_told_before_anything_is_called(
    login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    become(monkeypatch, GITHUB_ACTIONS="true", ACTIONS_ID_TOKEN_REQUEST_URL="")
    with pytest.raises(UsageError) as caught:
        login.open()
    assert caught.value.message.startswith("here: `")
    assert "id-token: write" in caught.value.remedy


def test_a_token_that_cannot_be_got_later_is_explained_and_nothing_is_written(
    login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    destination = login.open()
    destination.held()
    login.service.tokens.clear()
    become(monkeypatch, GITLAB_CI="true", TWOKEY_ID_TOKEN=jwt("another"))
    with pytest.raises(TwokeyError) as caught:
        destination.deliver(fresh_credential())
    assert isinstance(caught.value, BadCredentials)
    assert f"its audience is 'another'; expected '{login.audience}'" in caught.value.message
    assert login.backend.read() is None


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ({"oidc": VAULT, "env": "A", "file": "b"}, "beside `oidc`, only one of `env` and `file`"),
        ({"oidc": VAULT, "from": "ssm:/x"}, "beside `oidc`, only one of `env` and `file`"),
        ({"oidc": VAULT, "env": "NOT_SET"}, "NOT_SET is not set"),
        ({}, "exactly one of `env`, `file`, `from` and `oidc`"),
    ],
)
def test_a_source_is_one_of_them(source: dict[str, str], sentence: str) -> None:
    with Vault() as vault:
        backend = test_vault.Secret(vault)
        settings = {"url": vault.url, "jwt": {"role": "twokey", "jwt": source}}
        with pytest.raises(UsageError, match=sentence):
            open_destination(backend.url, services_of(backend, Hurried(), settings))
