"""Azure Key Vault: the contracts of a store and of a destination, logins, and what is special to it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from twokey.core.errors import (
    AccessDenied,
    Ambiguous,
    BadCredentials,
    Conflict,
    NotFound,
    ServiceRejected,
    Unreachable,
    UsageError,
)
from twokey.core.journal import Delivery, Journal
from twokey.core.model import CannotTell, Held
from twokey.destinations.logins import azure
from twokey.destinations.registry import open_destination, open_store
from twokey.destinations.stores.azure_keyvault import LONGEST_JOURNAL, TAG
from twokey.testing.contract import (
    Backend,
    DestinationContract,
    Hurried,
    assert_silent,
    fresh_credential,
    in_variables,
    outcome,
    pair,
    services_of,
)
from twokey.testing.fakes.azure_keyvault import CLIENT, TENANT, KeyVault
from twokey.testing.server import Fault
from twokey.testing.stores import AT, FULL, OneTextContract, StoreBackend, StoreContract

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from twokey.core.destination import Destination, Store
    from twokey.core.secret import Credential
    from twokey.destinations.registry import Services

NAME = "machine-users-ci"
URL = f"azure-keyvault:site-prd/{NAME}"
JOURNAL = f"{NAME}-twokey-journal"


class Secret(Backend):
    """A secret of the fake."""

    writes = ("PUT", "/secrets/")
    bad_names = (
        "azure-keyvault:ci",
        "azure-keyvault:site-prd/team/ci",
        "azure-keyvault:site-prd/c_i",
        "azure-keyvault:site-prd/c.i",
        "azure-keyvault:site.prd/ci",
        "azure-keyvault:1site/ci",
        "azure-keyvault:site-/ci",
        f"azure-keyvault:{'a' * 25}/ci",
        f"azure-keyvault:site-prd/{'a' * 128}",
        f"azure-keyvault:site-prd/{JOURNAL.upper()}",
        f"{URL}?name=x",
    )

    def __init__(self, fake: KeyVault) -> None:
        self.fake: KeyVault = fake
        self.url = URL

    def settings(self) -> dict[str, Any]:
        return {"url": self.fake.url, "token": {"env": "TEST_AZURE_TOKEN"}}

    def read(self) -> dict[str, str] | None:
        text = self.text()
        try:
            return dict(json.loads(text)) if text else None
        except ValueError:
            return {"text": text or ""}

    def plant(self, credential: Credential) -> None:
        self.plant_text(json.dumps(pair(credential)))

    def remove(self) -> None:
        self.fake.forbidden = "ForbiddenByRbac"

    def spoil_token(self) -> None:
        self.fake.tokens.clear()

    def text(self) -> str | None:
        return self.fake.text(NAME)

    def plant_text(self, text: str) -> None:
        self.fake.put(NAME, text)

    def plant_journal(self, text: str) -> None:
        self.fake.put(JOURNAL, text)

    def picture(self) -> Any:
        return repr(self.fake.secrets)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[KeyVault]:
    monkeypatch.setenv("TEST_AZURE_TOKEN", "ey.vault")
    with KeyVault() as vault:
        yield vault


@pytest.fixture
def services(fake: KeyVault) -> Services:
    return services_of(Secret(fake), Hurried())


@pytest.fixture
def store(services: Services) -> Store:
    return open_store(URL, services)


class TestAsADestination(DestinationContract):
    @pytest.fixture
    def backend(self, fake: KeyVault) -> Backend:
        return Secret(fake)


class TestAsAStore(OneTextContract, StoreContract):
    @pytest.fixture
    def backend(self, fake: KeyVault) -> StoreBackend:
        return Secret(fake)


def test_says_that_its_writes_are_not_conditional(store: Store) -> None:
    assert not store.traits.conditional


def test_a_write_is_sent_once_only(fake: KeyVault, store: Store) -> None:
    """A second one could be overtaken by the first, which is still under way."""
    revision = store.save_journal(Journal(epoch=1), store.load().revision)
    fake.clear()
    fake.add(Fault("PUT", "", "error_before", status=503))
    assert isinstance(outcome(lambda: store.put(fresh_credential(), revision)), Ambiguous)
    assert fake.count("PUT") == 1


def test_a_put_prepared_before_another_run_wrote_its_journal_is_refused(fake: KeyVault, store: Store) -> None:
    revision = store.save_journal(Journal(epoch=1), store.load().revision)
    other = open_store(URL, services_of(Secret(fake), Hurried()))
    other.save_journal(Journal(epoch=2), other.load().revision)
    assert isinstance(outcome(lambda: store.put(fresh_credential(), revision)), Conflict)
    assert fake.text(NAME) is None


def test_tags_and_content_type_of_the_operator_stay(fake: KeyVault, store: Store) -> None:
    fake.put(NAME, "{}", tags={"team": "site"}, contentType="application/vnd.site+json")
    credential = fresh_credential()
    store.deliver(credential)
    version = fake.secrets[NAME][-1]
    assert version["contentType"] == "application/vnd.site+json"
    assert version["tags"]["team"] == "site"
    assert credential.access_key_id in version["tags"][TAG]
    assert credential.reveal() not in json.dumps(version["tags"])


def test_fifteen_tags_of_the_operator_leave_no_room_for_ours(fake: KeyVault, store: Store) -> None:
    tags = {f"tag-{number}": "x" for number in range(15)}
    fake.put(NAME, "{}", tags=tags)
    store.deliver(fresh_credential())
    assert fake.secrets[NAME][-1]["tags"] == tags


def test_the_content_type_says_what_the_value_is(fake: KeyVault, services: Services) -> None:
    for layout, content in (("json", "application/json"), ("env", "text/plain")):
        fake.secrets.clear()
        credential = fresh_credential()
        backend = open_destination(f"{URL}?format={layout}", services)
        backend.deliver(credential)
        assert fake.secrets[NAME][-1]["contentType"] == content
        assert backend.held() == Held(credential.access_key_id)


class TestDeleted:
    def test_a_name_that_is_kept_for_a_deleted_secret_is_told_before_and_at_the_write(
        self, fake: KeyVault, store: Store
    ) -> None:
        fake.deleted.add(NAME)
        credential = fresh_credential()
        for act in (store.preflight, lambda: store.deliver(credential)):
            error = outcome(act)
            assert isinstance(error, ServiceRejected)
            assert "was deleted" in error.message
            assert "az keyvault secret recover" in error.remedy
            assert_silent(error, credential)

    def test_a_journal_that_was_deleted_is_told_before_anything_is_written(self, fake: KeyVault, store: Store) -> None:
        fake.deleted.add(JOURNAL)
        error = outcome(lambda: store.save_journal(FULL, store.load().revision))
        assert isinstance(error, ServiceRejected)
        assert f"{JOURNAL}: it was deleted" in error.message

    def test_a_token_that_may_not_look_for_deleted_ones_still_passes(self, fake: KeyVault, store: Store) -> None:
        fake.add(Fault("GET", "/deletedsecrets/", "refuse", times=None, status=403))
        assert outcome(store.preflight) is None


def test_a_disabled_secret_is_unknown_and_never_overwritten(fake: KeyVault, store: Store) -> None:
    fake.put(NAME, "x", attributes={"enabled": False})
    holding = store.held()
    assert isinstance(holding, CannotTell)
    assert "disabled" in holding.why
    for act in (store.preflight, lambda: store.deliver(fresh_credential())):
        error = outcome(act)
        assert isinstance(error, ServiceRejected)
        assert "disabled" in error.message
    assert fake.text(NAME) == "x"


class TestRefusals:
    @pytest.mark.parametrize("permission", ["get", "set"])
    def test_a_missing_permission_is_named(self, fake: KeyVault, store: Store, permission: str) -> None:
        fake.denied.add(permission)
        error = outcome(lambda: store.deliver(fresh_credential()))
        assert isinstance(error, AccessDenied)
        assert "get and set on secrets" in error.remedy

    @pytest.mark.parametrize("code", ["ForbiddenByFirewall", "ForbiddenByConnection"])
    def test_a_firewall_is_not_taken_for_a_missing_right(self, fake: KeyVault, store: Store, code: str) -> None:
        fake.forbidden = code
        error = outcome(store.preflight)
        assert isinstance(error, ServiceRejected)
        assert "blocks this machine" in error.message or "public networks" in error.message

    def test_a_token_of_another_tenant_is_told(self, fake: KeyVault, store: Store) -> None:
        body = {"error": {"code": "Unauthorized", "message": "AKV10032: Invalid issuer."}}
        fake.add(Fault("GET", "", "refuse", times=None, status=401, body=body))
        error = outcome(store.held)
        assert isinstance(error, BadCredentials)
        assert "another tenant" in error.message

    def test_a_404_of_something_else_is_not_an_empty_store(self, fake: KeyVault, store: Store) -> None:
        for body in (None, {"error": {"code": "ResourceNotFound"}}):
            fake.clear()
            fake.add(Fault("GET", "/secrets/", "refuse", times=None, status=404, body=body))
            assert isinstance(outcome(store.load), NotFound)

    def test_a_200_of_something_else_is_not_an_empty_store(self, fake: KeyVault, store: Store) -> None:
        fake.add(Fault("GET", "/secrets/", "refuse", times=None, status=200, body={"status": "ok"}))
        assert isinstance(outcome(store.load), Ambiguous)


def test_a_journal_that_is_too_long_for_a_value_is_refused_before_it_is_written(store: Store) -> None:
    fits = {f"github:acme/site-{number:04d}": Delivery(key="AKIAEXAMPLE000000001", at=AT) for number in range(200)}
    store.save_journal(Journal(delivered=fits), store.load().revision)
    error = outcome(
        lambda: store.room_for(Journal(delivered={**fits, **{f"x{url}": one for url, one in fits.items()}}))
    )
    assert isinstance(error, ServiceRejected)
    assert str(LONGEST_JOURNAL) in error.message


def test_a_name_without_room_for_the_journals_is_no_store(services: Services) -> None:
    url = f"azure-keyvault:site-prd/{'a' * 113}"
    error = outcome(lambda: open_store(url, services))
    assert isinstance(error, UsageError)
    assert "at most 112 characters" in error.message
    assert open_destination(url, services).name == url


class Logins:
    """A destination that is reached by a login."""

    def __init__(self, fake: KeyVault) -> None:
        self.fake = fake
        self.hurried = Hurried()

    def by(self, **settings: Any) -> Destination:
        values = {"url": self.fake.url, "authority": self.fake.url, **settings}
        return open_destination(URL, services_of(Secret(self.fake), self.hurried, values))

    def application(self, **settings: Any) -> Destination:
        return self.by(**{"tenant": TENANT, "client": CLIENT, **settings})


@pytest.fixture
def logins(fake: KeyVault, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Logins:
    monkeypatch.setenv("TEST_CLIENT_SECRET", fake.client_secret)
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "federated").write_text("ey.federated\n")
    monkeypatch.chdir(tmp_path)
    return Logins(fake)


@pytest.fixture(params=["client secret", "federated", "machine", "machine's other identity", "app service"])
def backend(
    request: pytest.FixtureRequest, fake: KeyVault, logins: Logins, monkeypatch: pytest.MonkeyPatch
) -> Destination:
    """A destination that is reached in one of all ways."""
    match request.param:
        case "client secret":
            return logins.application(client_secret={"env": "TEST_CLIENT_SECRET"})
        case "federated":
            return logins.application(federated_token_file="federated")
        case "app service":
            monkeypatch.setenv("IDENTITY_ENDPOINT", f"{fake.url}/msi/token")
            monkeypatch.setenv("IDENTITY_HEADER", "h-of-the-app")
            return logins.by()
        case "machine":
            return logins.by(identity=fake.url)
        case _:
            return logins.by(identity=fake.url, client=CLIENT)


class TestLogins:
    def test_every_way_gives_a_token_that_can_deliver(self, fake: KeyVault, backend: Destination) -> None:
        credential = fresh_credential()
        backend.deliver(credential)
        assert Secret(fake).read() == pair(credential)

    def test_a_token_that_is_refused_midway_is_replaced(self, fake: KeyVault, backend: Destination) -> None:
        backend.held()
        fake.tokens.clear()
        assert outcome(backend.held) is None

    @pytest.mark.parametrize("lasts", [3599, "3599", None])
    def test_one_login_serves_as_long_as_its_token(self, fake: KeyVault, logins: Logins, lasts: Any) -> None:
        fake.lasts = lasts
        backend = logins.by(identity=fake.url)
        backend.held()
        backend.held()
        assert fake.count("GET", "/metadata/") == 1
        logins.hurried.sleep(3560)
        backend.held()
        assert fake.count("GET", "/metadata/") == 2

    def test_a_token_of_app_service_serves_until_the_second_at_which_it_expires(
        self, fake: KeyVault, logins: Logins, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{fake.url}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", "h-of-the-app")
        backend = logins.by()
        backend.held()
        logins.hurried.sleep(3000)
        backend.held()
        assert fake.count("GET", "/msi/") == 1
        logins.hurried.sleep(560)
        backend.held()
        assert fake.count("GET", "/msi/") == 2

    def test_the_federated_token_is_read_again_at_each_login(
        self, fake: KeyVault, logins: Logins, tmp_path: Path
    ) -> None:
        backend = logins.application(federated_token_file="federated")
        backend.held()
        (tmp_path / "federated").write_text("ey.later")
        fake.assertions = {"ey.later"}
        fake.tokens.clear()
        assert outcome(backend.held) is None

    def test_a_refused_secret_gives_entras_code_and_nothing_of_itself(self, fake: KeyVault, logins: Logins) -> None:
        fake.client_secret = "another"
        error = outcome(logins.application(client_secret={"env": "TEST_CLIENT_SECRET"}).held)
        assert isinstance(error, BadCredentials)
        assert "invalid_client, AADSTS7000215" in error.message
        assert "TEST_CLIENT_SECRET" in error.remedy
        assert "s-of-the-application" not in str(error) + in_variables(error)

    def test_a_machine_without_identity_is_told(self, fake: KeyVault, logins: Logins) -> None:
        fake.machine = False
        error = outcome(logins.by(identity=fake.url).held)
        assert isinstance(error, BadCredentials)
        assert "identity" in error.remedy

    def test_a_login_without_an_answer_leaves_no_delivery_in_doubt(self, fake: KeyVault, logins: Logins) -> None:
        backend = logins.application(client_secret={"env": "TEST_CLIENT_SECRET"})
        backend.held()
        fake.tokens.clear()
        fake.add(Fault("POST", "/token", "lost_response", times=None))
        assert isinstance(outcome(lambda: backend.deliver(fresh_credential())), Unreachable)

    @pytest.mark.parametrize("lacking", ["tenant", "client"])
    def test_an_application_without_tenant_or_client_is_refused_at_once(self, logins: Logins, lacking: str) -> None:
        settings: dict[str, Any] = {"client_secret": {"env": "TEST_CLIENT_SECRET"}, lacking: ""}
        error = outcome(lambda: logins.application(**settings))
        assert isinstance(error, UsageError)
        assert "`tenant` and `client`" in error.message

    def test_a_token_is_for_the_cloud_that_the_url_leads_to(self) -> None:
        assert azure._audience(azure.PUBLIC) == "https://vault.azure.net"
        assert azure._audience("https://{vault}.vault.azure.cn") == "https://vault.azure.cn"
        assert azure._audience("https://127.0.0.1:1") == "https://vault.azure.net"


def test_the_expiry_of_an_existing_secret_stays(fake: KeyVault, store: Store) -> None:
    attributes = {"enabled": True, "exp": 2_000_000_000, "nbf": 1_700_000_000, "created": 1, "recoveryLevel": "x"}
    fake.put(NAME, "{}", attributes=attributes)
    for _ in range(2):
        store.deliver(fresh_credential())
        found = fake.secrets[NAME][-1]["attributes"]
        assert (found["exp"], found["nbf"]) == (2_000_000_000, 1_700_000_000)
        assert "recoveryLevel" not in found


def test_a_value_that_would_be_too_long_is_refused_before_anything_is_changed(fake: KeyVault, store: Store) -> None:
    fake.put(NAME, json.dumps({"certificate": "x" * (25 << 10)}))
    for act in (store.preflight, lambda: store.deliver(fresh_credential())):
        error = outcome(act)
        assert isinstance(error, ServiceRejected)
        assert "bytes" in error.message
    assert fake.count("PUT") == 0
