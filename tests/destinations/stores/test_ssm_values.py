"""What a parameter holds already, what it and its name have room for, and the calls that a write does not need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from twokey.core.errors import NotFound, ServiceRejected, UsageError
from twokey.core.journal import Delivery, Journal
from twokey.core.model import CannotTell, Held, NotHeld
from twokey.destinations.formats.journals import encode_journal
from twokey.destinations.registry import Services, open_store, parse
from twokey.destinations.stores.ssm import LIMIT
from twokey.destinations.stores.ssm_versions import History
from twokey.testing.stores import AT, fresh_credential, fresh_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.core.destination import Store
    from twokey.emulator import Emulator

GET, BOTH, PUT, HISTORY = "GetParameter", "GetParameters", "PutParameter", "GetParameterHistory"
JOURNAL = ".twokey-journal"


@pytest.fixture
def client(administrator: Callable[[str], Any]) -> Any:
    return administrator("ssm")


@pytest.fixture
def name() -> str:
    return f"/machine-users/{fresh_name()}"


@pytest.fixture
def store(name: str, services: Services) -> Store:
    return open_store(f"ssm:{name}", services)


def plant(client: Any, name: str, text: str) -> None:
    client.put_parameter(Name=name, Value=text, Type="SecureString", Overwrite=True)


def calls(aws: Emulator, act: Callable[[], object]) -> list[str]:
    aws.clear_requests()
    act()
    return [request.operation for request in aws.requests]


class TestAPair:
    def test_that_is_there_already_is_read_and_not_written_again(self, aws: Emulator, store: Store) -> None:
        credential = fresh_credential()
        first, second = store.deliver(credential), store.deliver(credential)
        assert (first.key_id, first.written, first.stamp) == (credential.access_key_id, True, "1")
        assert (second.key_id, second.written, second.stamp) == (credential.access_key_id, False, "1")
        assert calls(aws, lambda: store.deliver(credential)) == [GET]
        assert store.deliver(fresh_credential()).stamp == "2"

    def test_is_tried_in_the_preflight_and_not_written(
        self, aws: Emulator, store: Store, client: Any, name: str
    ) -> None:
        assert calls(aws, store.preflight) == [GET]
        credential = fresh_credential()
        store.deliver(credential)
        assert calls(aws, store.preflight) == [GET, "GetParameterHistory", PUT]
        assert client.get_parameter(Name=name)["Parameter"]["Version"] == 1
        assert store.held() == Held(credential.access_key_id)


class TestAValue:
    def test_that_is_none_of_twokeys_is_known_again_by_its_version(self, store: Store, client: Any, name: str) -> None:
        for version in ("1", "2"):
            plant(client, name, "another program's")
            for holding in (store.held(), store.load().holding):
                assert isinstance(holding, CannotTell)
                assert holding.stamp == version

    def test_that_cannot_be_read_is_named_by_its_url(self, store: Store, client: Any, name: str) -> None:
        assert store.credential() is None
        plant(client, name, '{"AccessKeyId": 5, "SecretAccessKey": "x"}')
        with pytest.raises(ServiceRejected, match=store.name):
            store.credential()
        plant(client, name + JOURNAL, "no journal")
        with pytest.raises(ServiceRejected, match=store.name):
            store.load()

    def test_is_read_for_a_token_if_there_is_one(self, services: Services, client: Any, name: str) -> None:
        with pytest.raises(NotFound, match=f"ssm:{name} does not exist"):
            services.read_secret(f"ssm:{name}")
        plant(client, name, "token")
        assert services.read_secret(f"ssm:{name}") == "token"


class TestAJournal:
    def test_of_few_versions_has_room_without_another_look_at_them(
        self, aws: Emulator, store: Store, client: Any, name: str
    ) -> None:
        assert calls(aws, lambda: store.room_for(Journal())) == [HISTORY]
        store.load()
        assert calls(aws, lambda: store.room_for(Journal())) == []
        for _ in range(80):
            client.put_parameter(Name=name + JOURNAL, Value=encode_journal(Journal()), Type="String", Overwrite=True)
        for expected in ([], [HISTORY]):
            store.load()
            assert calls(aws, lambda: store.room_for(Journal()))[:1] == expected
            client.put_parameter(Name=name + JOURNAL, Value=encode_journal(Journal()), Type="String", Overwrite=True)

    def test_may_be_as_long_as_a_standard_parameter_and_no_longer(self, store: Store) -> None:
        def journal(length: int) -> Journal:
            return Journal(delivered={"x" * length: Delivery(key="AKIAEXAMPLE000000001", at=AT)})

        longest = LIMIT - len(encode_journal(journal(0)).encode())
        revision = store.load().revision
        for act in (store.room_for, lambda one: store.save_journal(one, revision)):
            with pytest.raises(ServiceRejected):
                act(journal(longest + 1))
            act(journal(longest))
        assert store.load().journal == journal(longest)

    def test_lies_beside_the_pair_unencrypted_and_alone_is_no_pair(self, store: Store, client: Any, name: str) -> None:
        store.save_journal(Journal(epoch=1), store.load().revision)
        assert (store.held(), store.load().holding) == (NotHeld(), NotHeld())
        found = client.get_parameter(Name=name + JOURNAL)["Parameter"]
        assert (found["Type"], found["Value"]) == ("String", encode_journal(Journal(epoch=1)))


@pytest.mark.parametrize("most", ["/a" * 15, "a" * (1011 - len(JOURNAL)), "/my/aws", f"{JOURNAL}s"])
def test_a_name_that_has_room_for_the_journals_is_one(most: str) -> None:
    assert parse(f"ssm:{most}").rest == most


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("/a" * 16, "15 levels"),
        ("a" * (1012 - len(JOURNAL)), "at most 996 characters"),
        ("/AWS/x", "reserves"),
        ("ssm-x", "reserves"),
        (f"/a{JOURNAL}", "reserved for journals"),
        ("/a/", "cannot be a parameter's name"),
        ("/a?format=yaml", "yaml"),
        ("/a?tag.aws:x=y", "not beginning with aws:"),
    ],
)
def test_a_name_that_cannot_be_one_is_refused_before_anything_is_called(name: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse(f"ssm:{name}")


@pytest.mark.parametrize(
    ("count", "labelled", "possible"),
    [(100, 1, 0), (100, 3, 2), (100, 4, None), (98, 1, 2), (97, 1, None), (99, 2, 2), (99, 3, None)],
)
def test_a_label_ends_the_writes_when_its_version_is_the_oldest_of_a_hundred(
    count: int, labelled: int, possible: int | None
) -> None:
    entries = [{"Version": 7 + one, "Labels": ["live"] * (one == labelled)} for one in range(1, count + 1)]
    history = History("/a", entries)
    assert history.newest["Version"] == 7 + count
    error = history.without_room(3)
    if possible is None:
        assert error is None
        return
    assert error is not None
    assert f"/a has {count} of the 100 versions" in error.message
    assert f"the old version {7 + labelled}, because it has the label live: " in error.message
    assert (f"after {possible} more" in error.message) == bool(possible)
    assert "remove the label: " in error.remedy
    assert f"--name /a --parameter-version {7 + labelled} --labels live" in error.remedy


def test_a_parameter_without_a_version_has_no_settings_and_room() -> None:
    history = History("/a", [])
    assert (history.newest, history.without_room(3)) == ({}, None)
