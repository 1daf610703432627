"""1Password as a service account reaches it: its own SDK, above a core that keeps one vault in memory."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from destinations.stores.test_onepassword import ID, JOURNAL, NAMES, SECRET, URL, as_fields
from support.onepassword_core import Core
from twokey.core.errors import (
    AccessDenied,
    Ambiguous,
    BadCredentials,
    Conflict,
    NotFound,
    ServiceRejected,
    Throttled,
    UsageError,
)
from twokey.core.journal import Journal
from twokey.core.model import Held, NotHeld
from twokey.core.secret import Credential
from twokey.destinations.logins import onepassword_service
from twokey.destinations.logins.onepassword import CONNECTION
from twokey.destinations.registry import open_destination, open_store
from twokey.testing.contract import (
    Backend,
    Hurried,
    assert_silent,
    fresh_credential,
    in_variables,
    outcome,
    pair,
    services_of,
)
from twokey.testing.stores import NamedValuesStoreContract, StoreBackend, StoreContract

if TYPE_CHECKING:
    from twokey.core.destination import Store
    from twokey.destinations.connections import ConnectionKind
    from twokey.destinations.registry import Services

# To import it takes as long as to collect a thousand tests, and each process of the tests would.
pytestmark = pytest.mark.skipif(
    find_spec("onepassword") is None, reason="1Password's SDK is not installed (the extra onepassword)"
)

CONNECTIONS: ConnectionKind[Any, Any] = CONNECTION


class Item(Backend):
    """An item of the core's vault."""

    tokens = ("AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_CREDENTIAL_EXPIRATION")

    def __init__(self, core: Core) -> None:
        self.core = core
        self.url = URL

    def settings(self) -> dict[str, Any]:
        return {"service_account_token": {"env": "TEST_SERVICE_ACCOUNT"}}

    def item(self) -> dict[str, Any]:
        return self.core.titled("ci") or self.core.add("ci", {})

    def fields(self) -> dict[str, str]:
        found = self.core.titled("ci") or {"fields": []}
        return {one["title"]: one["value"] for one in found["fields"] if one["title"] != JOURNAL}

    def read(self) -> dict[str, str] | None:
        found = self.fields()
        return {name: found[label] for name, label in NAMES.items()} if SECRET in found else None

    def plant(self, credential: Credential) -> None:
        self.core.edit(self.item(), as_fields(credential))

    def plant_value(self, name: str, text: str) -> None:
        self.core.edit(self.item(), {name: text})

    def value(self, name: str) -> str | None:
        return self.fields().get(name)

    def remove(self) -> None:
        self.core.vault = "another"

    def spoil_token(self) -> None:
        self.core.tokens.clear()

    def text(self) -> str | None:
        found = self.fields()
        return json.dumps(self.read() or found) if found else None

    def plant_text(self, text: str) -> None:
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        known = found if isinstance(found, dict) else {}
        values = {NAMES[name]: value for name, value in known.items() if isinstance(value, str)}
        self.core.edit(self.item(), values or {"value": text})

    def plant_journal(self, text: str) -> None:
        self.core.edit(self.item(), {JOURNAL: text})

    def picture(self) -> Any:
        return json.dumps(self.core.items)


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> Core:
    """1Password below its SDK."""
    import onepassword.client

    monkeypatch.setenv("TEST_SERVICE_ACCOUNT", "ops_token")
    found = Core()
    monkeypatch.setattr(onepassword.client, "UniffiCore", lambda: found)
    return found


@pytest.fixture
def backend(core: Core) -> Item:
    return Item(core)


@pytest.fixture
def services(backend: Item) -> Services:
    return services_of(backend, Hurried())


@pytest.fixture
def store(services: Services) -> Store:
    return open_store(URL, services)


class TestAsAStore(NamedValuesStoreContract, StoreContract):
    @pytest.fixture
    def backend(self, core: Core) -> StoreBackend:
        return Item(core)

    @pytest.fixture
    def services(self, core: Core) -> Services:
        return services_of(Item(core), Hurried())


def test_a_delivery_creates_the_item_and_conceals_the_secret_only(core: Core, store: Store, backend: Item) -> None:
    assert store.held() == NotHeld()
    credential = fresh_credential()
    store.deliver(credential)
    assert backend.read() == pair(credential)
    item = core.titled("ci") or {}
    assert item["category"] == "ApiCredentials"
    assert {one["title"]: one["fieldType"] for one in item["fields"]} == {ID: "Text", SECRET: "Concealed"}
    assert not store.deliver(credential).written


def test_everything_else_of_an_item_stays(core: Core, store: Store) -> None:
    more = {"notes": "of the operator", "tags": ["prod"], "sections": [{"id": "s", "title": "x"}]}
    before = core.add("ci", {"region": "eu-west-1"}, **more)
    store.deliver(fresh_credential())
    after = core.items[before["id"]]
    assert {name: after[name] for name in more} == more
    assert after["fields"][0] == before["fields"][0]


def test_a_change_between_read_and_write_is_not_overwritten(core: Core, store: Store, backend: Item) -> None:
    """1Password compares the version, so the store reads again and finds another key."""
    revision = store.put(fresh_credential(), store.load().revision)
    existing_key = fresh_credential()
    real = core._ItemsPut

    def put(item: dict[str, Any]) -> dict[str, Any]:
        if not planted:
            planted.append(True)
            backend.plant(existing_key)
        return real(item)

    planted: list[bool] = []
    core._ItemsPut = put  # type: ignore[method-assign]
    assert isinstance(outcome(lambda: store.put(fresh_credential(), revision)), Conflict)
    assert backend.read() == pair(existing_key)


class TestErrors:
    def test_a_token_that_is_not_accepted(self, core: Core, store: Store, backend: Item) -> None:
        backend.spoil_token()
        for act in (store.preflight, store.held, lambda: store.deliver(fresh_credential())):
            error = outcome(act)
            assert isinstance(error, BadCredentials)
            assert "TEST_SERVICE_ACCOUNT" in error.remedy
            assert_silent(error, Credential("", "ops_token"))

    def test_a_vault_that_the_account_does_not_see(self, core: Core, services: Services) -> None:
        error = outcome(open_store("onepassword:other/ci", services).load)
        assert isinstance(error, NotFound)
        assert "read and write access to the vault other" in error.remedy

    def test_two_items_of_one_title(self, core: Core, store: Store) -> None:
        core.add("ci", {})
        core.add("ci", {})
        assert isinstance(outcome(store.load), ServiceRejected)

    @pytest.mark.parametrize(
        ("kind", "message", "expected"),
        [
            ("RateLimitExceeded", "rate limit exceeded", Throttled),
            ("", "you do not have permission to edit items in this vault", AccessDenied),
        ],
    )
    def test_a_refused_write(
        self, core: Core, store: Store, backend: Item, kind: str, message: str, expected: type[Exception]
    ) -> None:
        core.add("ci", {})
        core.fails["ItemsPut"] = [(kind or "Refused", message)] * 9
        error = outcome(lambda: store.deliver(fresh_credential()))
        assert isinstance(error, expected)
        assert backend.read() is None

    @pytest.mark.parametrize("after", ["", "after:"])
    def test_an_unknown_error_of_a_write_is_in_doubt_and_then_resolved(
        self, core: Core, store: Store, backend: Item, after: str
    ) -> None:
        store.deliver(fresh_credential())
        core.fails["ItemsPut"] = [(f"{after}Internal", "error sending request for url")]
        credential = fresh_credential()
        assert outcome(lambda: store.deliver(credential)) is None
        assert backend.read() == pair(credential)

    def test_a_creation_in_doubt_is_not_repeated(self, core: Core, store: Store) -> None:
        core.fails["ItemsCreate"] = [("Internal", "error sending request for url")] * 9
        credential = fresh_credential()
        error = outcome(lambda: store.deliver(credential))
        assert isinstance(error, Ambiguous)
        assert core.calls.count("ItemsCreate") == 1
        assert_silent(error, credential)

    def test_what_a_crash_reporter_records_holds_no_secret(self, core: Core, store: Store) -> None:
        older, credential = fresh_credential(), fresh_credential()
        store.deliver(older)
        core.fails["ItemsPut"] = [("Internal", f"bad value {credential.reveal()}")] * 9
        error = outcome(lambda: store.deliver(credential))
        assert error is not None
        assert_silent(error, credential, older, Credential("", "ops_token"))
        for secret in (credential.reveal(), older.reveal(), "ops_token"):
            assert secret not in in_variables(error)

    def test_a_call_that_does_not_end_is_given_up(
        self, core: Core, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(onepassword_service, "LONGEST", 0.05)
        monkeypatch.setattr(core, "_VaultsList", lambda **_: time.sleep(0.5))
        error = outcome(store.load)
        assert isinstance(error, Ambiguous)
        assert "TimeoutError" in error.message


class TestSettings:
    def test_the_journal_survives_another_run(self, services: Services, backend: Item) -> None:
        first = open_store(URL, services)
        first.save_journal(Journal(epoch=3), first.load().revision)
        credential = fresh_credential()
        first.put(credential, first.load().revision)
        again = open_store(URL, services_of(backend, Hurried())).load()
        assert (again.holding, again.journal) == (Held(credential.access_key_id), Journal(epoch=3))

    def test_the_environment_is_enough(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("OP_CONNECT_HOST", "OP_CONNECT_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("OP_SERVICE_ACCOUNT_TOKEN", "ops_x")
        assert CONNECTIONS.from_environment().service_account_token.env == "OP_SERVICE_ACCOUNT_TOKEN"

    def test_both_ways_at_once_are_refused(self, backend: Item) -> None:
        both = {**backend.settings(), "url": "https://connect.example", "token": {"env": "TEST_SERVICE_ACCOUNT"}}
        with pytest.raises(UsageError, match="expected either"):
            open_destination(URL, services_of(backend, Hurried(), both))

    def test_without_the_sdk_it_says_which_extra_to_install(
        self, backend: Item, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(onepassword_service, "find_spec", lambda _name: None)
        with pytest.raises(UsageError, match="onepassword-sdk is not installed") as raised:
            open_destination(URL, services_of(backend, Hurried()))
        assert "extra `onepassword`" in raised.value.remedy


def test_the_sdks_own_core_refuses_a_token_that_is_none_without_the_network() -> None:
    """The real core, in a process of its own: it loads here, and its error is the one that is recognized."""
    program = (
        "import asyncio; from onepassword.client import Client; "
        "asyncio.run(Client.authenticate(auth='x', integration_name='twokey', integration_version='v1'))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "service account token" in done.stderr
