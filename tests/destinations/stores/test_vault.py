"""Vault's KV version 2: the contracts of a store and of a destination, logins, and what is special to Vault."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any, cast

import pytest

from twokey.core.errors import AccessDenied, BadCredentials, Conflict, NotFound, ServiceRejected, UsageError
from twokey.core.journal import Journal
from twokey.core.model import Held, NotHeld
from twokey.destinations.registry import open_destination, open_store
from twokey.testing.contract import (
    Backend,
    DestinationContract,
    Hurried,
    fresh_credential,
    outcome,
    pair,
    services_of,
)
from twokey.testing.fakes.vault import Vault
from twokey.testing.stores import ConditionalContract, NamedValuesStoreContract, StoreBackend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twokey.core.destination import Store
    from twokey.core.secret import Credential
    from twokey.destinations.registry import Services

URL = "vault:secret/machine-users/ci"
PATH = "machine-users/ci"


class Secret(Backend):
    """A secret of the fake."""

    writes = ("POST", "/data/")
    bad_names = (
        "vault:ci",
        "vault:secret/../x",
        "vault:secret/./x",
        "vault:secret/a b",
        "vault:secret/x.twokey-journal",
        "vault:a/b?mount=c",
        "vault:a/b?mount=a/b",
    )

    def __init__(self, fake: Vault) -> None:
        self.fake: Vault = fake
        self.url = URL

    def settings(self) -> dict[str, Any]:
        return {"url": self.fake.url, "token": {"env": "TEST_VAULT_TOKEN"}}

    def read(self) -> dict[str, str] | None:
        return self.fake.data(PATH)

    def plant(self, credential: Credential) -> None:
        self.fake.entries.setdefault(PATH, []).append({name: str(value) for name, value in pair(credential).items()})

    tokens = ("SessionToken", "SecurityToken", "Token")

    def plant_value(self, name: str, text: str) -> None:
        versions = self.fake.entries.setdefault(PATH, [])
        versions.append({**((versions[-1] if versions else None) or {}), name: text})

    def value(self, name: str) -> str | None:
        return (self.fake.data(PATH) or {}).get(name)

    def remove(self) -> None:
        self.fake.mounted = False

    def spoil_token(self) -> None:
        self.fake.tokens.clear()

    def text(self) -> str | None:
        found = self.fake.data(PATH) or {}
        shown = {name: value for name, value in found.items() if name in ("AccessKeyId", "SecretAccessKey")} or found
        return json.dumps(shown) if shown else None

    def plant_text(self, text: str) -> None:
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        data = found if isinstance(found, dict) and found else {"value": text}
        self.fake.entries.setdefault(PATH, []).append(data)

    def plant_journal(self, text: str) -> None:
        self.fake.entries.setdefault(f"{PATH}.twokey-journal", []).append({"journal": text})

    def picture(self) -> Any:
        return json.dumps(self.fake.entries)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vault]:
    monkeypatch.setenv("TEST_VAULT_TOKEN", "root-token")
    with Vault() as vault:
        yield vault


class TestAsADestination(DestinationContract):
    @pytest.fixture
    def backend(self, fake: Vault) -> Backend:
        return Secret(fake)


class TestAsAStore(NamedValuesStoreContract, ConditionalContract):
    @pytest.fixture
    def backend(self, fake: Vault) -> StoreBackend:
        return Secret(fake)

    @pytest.fixture
    def services(self, fake: Vault) -> Services:
        return services_of(Secret(fake), Hurried())


@pytest.mark.parametrize(
    "method",
    [
        {"token": {"env": "TEST_VAULT_TOKEN"}},
        {"approle": {"role_id": "twokey", "secret_id": {"env": "TEST_SECRET_ID"}}},
        {"jwt": {"role": "twokey", "jwt": {"env": "TEST_JWT"}}},
        {"kubernetes": {"role": "twokey", "jwt": {"file": "pod-token"}}},
        {"aws": {"role": "twokey", "server_id": "vault.example"}},
    ],
    ids=lambda method: next(iter(method)),
)
class TestLogin:
    @pytest.fixture(autouse=True)
    def _secrets(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "pod-token").write_text("ey.pod\n")
        monkeypatch.setenv("TEST_SECRET_ID", "the-secret-id")
        monkeypatch.setenv("TEST_JWT", "ey.jwt")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s" * 40)

    def test_every_method_gives_a_token_that_can_deliver(self, fake: Vault, method: dict[str, Any]) -> None:
        credential = fresh_credential()
        open_destination(URL, services_of(Secret(fake), Hurried(), {"url": fake.url, **method})).deliver(credential)
        assert fake.data(PATH) == pair(credential)

    def test_a_token_that_expires_midway_is_replaced_by_another_login(
        self, fake: Vault, method: dict[str, Any]
    ) -> None:
        backend = open_destination(URL, services_of(Secret(fake), Hurried(), {"url": fake.url, **method}))
        backend.held()
        fake.tokens.clear()
        error = outcome(backend.held)
        if "token" in method:
            assert isinstance(error, BadCredentials)
        else:
            assert error is None


def test_two_methods_at_once_are_refused(fake: Vault) -> None:
    both = {"url": fake.url, "token": {"env": "TEST_VAULT_TOKEN"}, "aws": {"role": "x"}}
    with pytest.raises(UsageError, match="exactly one of"):
        open_destination(URL, services_of(Secret(fake), Hurried(), both))


def test_preflight_names_the_capabilities_that_lack(fake: Vault) -> None:
    fake.denied.add("machine-users/ci")
    error = outcome(open_store(URL, services_of(Secret(fake), Hurried())).preflight)
    assert isinstance(error, AccessDenied)
    assert "create and update" in error.message
    assert "secret/data/machine-users/ci" in error.message


def test_a_mount_that_is_not_there_is_not_an_empty_store(fake: Vault) -> None:
    fake.mounted = False
    assert isinstance(outcome(open_store(URL, services_of(Secret(fake), Hurried())).load), NotFound)


@pytest.mark.parametrize("options", [None, {}, {"version": "1"}])
def test_an_empty_mount_of_version_1_is_not_an_empty_store(fake: Vault, options: dict[str, str] | None) -> None:
    """It responds like an empty one of version 2, and would ignore the condition of each write."""
    fake.options = options
    error = outcome(open_store(URL, services_of(Secret(fake), Hurried())).load)
    assert isinstance(error, ServiceRejected)
    assert "not in a KV version 2 mount" in error.message
    assert isinstance(outcome(open_destination(URL, services_of(Secret(fake), Hurried())).held), ServiceRejected)
    assert fake.entries == {}


def test_a_token_that_is_not_told_what_the_mount_is_can_be_used(fake: Vault) -> None:
    fake.hidden = True
    assert open_store(URL, services_of(Secret(fake), Hurried())).load().holding == NotHeld()


def test_what_the_mount_is_is_asked_once_and_only_while_it_shows_no_secret(fake: Vault) -> None:
    store = open_store(URL, services_of(Secret(fake), Hurried()))
    store.load()
    store.load()
    Secret(fake).plant(fresh_credential())
    open_store(URL, services_of(Secret(fake), Hurried())).load()
    assert sum("/mounts/" in path for _, path in fake.requests) == 1


def test_other_fields_beside_the_pair_stay(fake: Vault) -> None:
    fake.entries[PATH] = [{"region": "eu-central-1"}]
    credential = fresh_credential()
    open_destination(URL, services_of(Secret(fake), Hurried())).deliver(credential)
    assert fake.data(PATH) == {"region": "eu-central-1", **pair(credential)}


def test_the_custom_metadata_names_the_key_and_no_secret(fake: Vault) -> None:
    credential = fresh_credential()
    open_destination(URL, services_of(Secret(fake), Hurried())).deliver(credential)
    (note,) = fake.metadata[PATH].values()
    assert list(fake.metadata[PATH]) == ["twokey"]
    assert credential.access_key_id in note
    assert credential.reveal() not in note


def test_what_a_person_wrote_between_two_writes_of_the_journal_is_not_written_over(fake: Vault) -> None:
    store = open_store(URL, services_of(Secret(fake), Hurried()))
    revision = store.put(fresh_credential(), store.save_journal(Journal(epoch=1), store.load().revision))
    existing_key = fresh_credential()
    Secret(fake).plant(existing_key)
    with pytest.raises(Conflict):
        store.save_journal(Journal(epoch=2), revision)
    assert fake.data(PATH) == pair(existing_key)
    assert len(fake.entries[f"{PATH}.twokey-journal"]) == 1


def test_what_a_person_writes_while_the_journal_is_written_is_noticed(fake: Vault) -> None:
    store = open_store(URL, services_of(Secret(fake), Hurried()))
    revision = store.put(fresh_credential(), store.save_journal(Journal(epoch=1), store.load().revision))
    real = Vault.write

    def write(service: Vault, request: Any, path: str) -> Any:
        Secret(fake).plant(fresh_credential())
        return real(service, request, path)

    fake._routes = [
        (verb, pattern, functools.partial(write, fake) if method.__name__ == "write" else method)
        for verb, pattern, method in fake._routes
    ]
    with pytest.raises(Conflict):
        store.save_journal(Journal(epoch=2), revision)


def test_numbers_and_objects_of_other_fields_lose_no_digit(fake: Vault) -> None:
    others = {"port": 5432, "big": 2**70, "ratio": 0.1 + 0.2, "one": 1.0, "in": {"deep": [None, True, 2**65]}}
    fake.entries[PATH] = [cast("dict[str, str]", {**others})]
    credential = fresh_credential()
    store = open_store(URL, services_of(Secret(fake), Hurried()))
    store.preflight()
    store.deliver(credential)
    assert fake.data(PATH) == {**others, **pair(credential)}
    assert str(fake.data(PATH)) == str({**others, **pair(credential)})


def test_a_denied_write_names_the_secret_and_the_capabilities_that_its_path_needs(fake: Vault) -> None:
    fake.denied.add("machine-users/ci")
    error = outcome(lambda: open_destination(URL, services_of(Secret(fake), Hurried())).deliver(fresh_credential()))
    assert isinstance(error, AccessDenied)
    assert "write secret/machine-users/ci" in error.message
    assert "create, read and update on secret/data/machine-users/ci" in error.remedy


def test_a_mount_whose_name_contains_slashes_is_named_by_an_option(fake: Vault) -> None:
    for option in ("team/BOX", "team/BOX/"):
        fake.clear()
        outcome(open_destination(f"vault:team/BOX/ci?mount={option}", services_of(Secret(fake), Hurried())).held)
        assert ("GET", "/v1/team/BOX/data/ci") in fake.requests


class TestAnOlderVersionThanOneThatThisRunSaw:
    @pytest.fixture
    def hurried(self) -> Hurried:
        return Hurried()

    @pytest.fixture
    def store(self, fake: Vault, hurried: Hurried) -> Store:
        fake.indexed = False
        fake.entries[PATH] = [pair(fresh_credential())]
        store = open_store(URL, services_of(Secret(fake), hurried))
        older = {"tokens": fake.tokens, "metadata": {}, "entries": {PATH: list(fake.entries[PATH])}}
        Secret(fake).plant(fresh_credential())
        store.load()
        fake.lag, fake._lagging = 1, (3, 0, older)
        return store

    def test_is_read_again_after_longer_and_longer_pauses(self, fake: Vault, store: Store, hurried: Hurried) -> None:
        assert store.held() == Held(str((fake.data(PATH) or {})["AccessKeyId"]))
        assert hurried.slept == pytest.approx(0.1 + 0.2 + 0.4)

    def test_is_believed_in_the_end_and_then_without_a_pause(self, fake: Vault, store: Store, hurried: Hurried) -> None:
        fake.lag, fake.entries = 0, fake._lagging[2]["entries"]
        assert store.held() == Held(str((fake.data(PATH) or {})["AccessKeyId"]))
        assert hurried.slept == pytest.approx(0.1 + 0.2 + 0.4 + 0.8 + 1.6 + 3.2)
        store.held()
        assert hurried.slept == pytest.approx(0.1 + 0.2 + 0.4 + 0.8 + 1.6 + 3.2)


def test_a_store_that_is_not_there_yet_is_read_without_a_pause(fake: Vault) -> None:
    hurried = Hurried()
    open_store(URL, services_of(Secret(fake), hurried)).load()
    assert hurried.slept == 0
