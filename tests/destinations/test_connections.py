"""Every kind of connection can be made from the environment variables that it names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import pytest

from twokey.aws.clients import Clients
from twokey.core.errors import UsageError
from twokey.destinations import registry
from twokey.destinations.connections import Configured, Connections, Settings, types_in
from twokey.destinations.logins.vault import Settings as Vault
from twokey.destinations.logins.vault_methods import AppRole
from twokey.destinations.registry import Services
from twokey.destinations.sources import Source

if TYPE_CHECKING:
    from twokey.destinations.connections import ConnectionKind

KINDS = registry.connection_kinds()


@pytest.mark.parametrize("name", KINDS)
def test_a_variable_with_a_secret_is_named_in_the_settings_and_one_without_is_read(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind: ConnectionKind[Settings, object] = KINDS[name]
    for names in kind.environment.values():
        for variable in names:
            monkeypatch.setenv(variable, f"value-of-{variable}")
    found = kind.from_environment()
    for setting, variables in kind.environment.items():
        value = getattr(found, setting)
        secret = isinstance(value, Source)
        assert value == (Source(env=variables[0]) if secret else f"value-of-{variables[0]}")
        assert secret == ("token" in setting or "secret" in setting) or setting == "federated_token_file"


TOKEN = {"token": {"env": "A_TOKEN"}}
REACHED: dict[str, tuple[str, dict[str, Any]]] = {
    "azure-devops": ("azure-devops:acme/site/aws", TOKEN),
    "azure-keyvault": ("azure-keyvault:site-prd/ci", TOKEN),
    "bitbucket": ("bitbucket:acme/site", TOKEN),
    "buildkite": ("buildkite:acme/42f1a7da-812d-4430-93d8-1cc7c33a6bcf", TOKEN),
    "circleci": ("circleci:gh/acme/site", TOKEN),
    "cloudflare": ("cloudflare-worker:023e105f4ecef8ad9ca31a8372d0c353/uploads", TOKEN),
    "doppler": ("doppler:site/prd", TOKEN),
    "flyio": ("flyio:acme-site", TOKEN),
    "gcp": ("gcp-secretmanager:site/ci", TOKEN),
    "gitea": ("gitea:acme/site", TOKEN),
    "github": ("github:acme/site", TOKEN),
    "gitlab": ("gitlab:acme/site", TOKEN),
    "heroku": ("heroku:acme-site", TOKEN),
    "infisical": ("infisical:7e1d3f0a-5c1b-4c1e-9a0b-1b5f0b9d6a11/prod", TOKEN),
    "hcp-terraform": ("hcp-terraform:acme/site", TOKEN),
    "jenkins": ("jenkins:aws-ci", {"user": "twokey", **TOKEN}),
    "kubernetes": ("kubernetes:apps/ci", TOKEN),
    "netlify": ("netlify:acme/3a5cf1f0-93c9-4a4e-8c3d-5d6d5a3f1b20", TOKEN),
    "octopus": ("octopus:Spaces-1/aws-deploy", TOKEN),
    "onepassword": ("onepassword:ops/ci", TOKEN),
    "teamcity": ("teamcity:Acme_Site", TOKEN),
    "travis": ("travis:acme/site", TOKEN),
    "vercel": ("vercel:acme/site", TOKEN),
    "woodpecker": ("woodpecker:acme/site", TOKEN),
    "vault": ("vault:secret/ci", TOKEN),
    "webhook": ("webhook:/keys", {"secret": {"env": "A_TOKEN"}}),
}
"""A destination of each kind of connection, and the least that its connection needs."""


@pytest.mark.parametrize("name", KINDS)
class TestPlainHttp:
    """In a cluster, many services listen on plain http. Nothing is sent that way unless the operator allows it."""

    @staticmethod
    def opened(name: str, url: str, *, insecure: bool) -> object:
        destination, needed = REACHED[name]
        settings = msgspec.convert({**needed, "url": url, "insecure_http": insecure}, KINDS[name].settings)
        found = Services(Clients("tests"), Connections({name: Configured(name, settings, "here")}))
        return registry.open_destination(destination, found)

    @pytest.fixture(autouse=True)
    def _token(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("A_TOKEN", "a-token")

    def test_to_a_private_address_needs_the_setting(self, name: str) -> None:
        with pytest.raises(UsageError, match=r"not encrypted.*insecure_http: true in the connection"):
            self.opened(name, "http://service.tools.svc:8200", insecure=False)
        assert self.opened(name, "http://service.tools.svc:8200", insecure=True)
        assert self.opened(name, "http://10.1.2.3", insecure=True)

    def test_to_a_public_one_is_refused_whatever_is_set(self, name: str) -> None:
        with pytest.raises(UsageError, match=r"not encrypted.*extends to private addresses only"):
            self.opened(name, "http://service.example.com", insecure=True)


@pytest.mark.parametrize(
    "annotation", [Source, Source | None, Annotated[Source | None, msgspec.Meta()], Annotated[Source, 1] | None]
)
def test_a_setting_is_a_source_whatever_its_annotation(annotation: Any) -> None:
    assert Source in types_in(annotation)


def test_the_files_with_secrets_are_those_of_a_login_too() -> None:
    """twokey warns about them if other users may read them."""
    login = AppRole(role_id="r", secret_id=Source(file="/run/secret-id"))
    assert Vault(url="https://v.example", approle=login).secret_files == ("/run/secret-id",)
