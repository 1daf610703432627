"""What a secret in Secrets Manager holds already, what it has room for, and the calls that a write does not need."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from support.store_faults import denied
from twokey.core.errors import NotFound, ServiceRejected
from twokey.core.journal import Delivery, Journal
from twokey.core.model import CannotTell, NotHeld
from twokey.destinations.formats.journals import encode_journal
from twokey.destinations.registry import Services, open_destination, open_store
from twokey.destinations.stores.secretsmanager import LIMIT, Revision
from twokey.destinations.stores.secretsmanager_versions import JOURNAL
from twokey.emulator import Emulator, Rule
from twokey.testing.stores import AT, fresh_credential, fresh_name, outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.core.destination import Store

DESCRIBE, READ = "DescribeSecret", "GetSecretValue"
ADD, MOVE = "PutSecretValue", "UpdateSecretVersionStage"


@pytest.fixture
def client(administrator: Callable[[str], Any]) -> Any:
    return administrator("secretsmanager")


@pytest.fixture
def name() -> str:
    return f"machine-users/{fresh_name()}"


@pytest.fixture
def store(name: str, services: Services) -> Store:
    return open_store(f"secretsmanager:{name}", services)


def calls(aws: Emulator, act: Callable[[], object]) -> list[str]:
    aws.clear_requests()
    act()
    return [request.operation for request in aws.requests]


class TestAPairThatIsThereAlready:
    def test_is_neither_read_nor_written_again(self, aws: Emulator, store: Store) -> None:
        credential = fresh_credential()
        revision = store.put(credential, store.load().revision)
        assert calls(aws, lambda: store.put(credential, revision)) == [DESCRIBE]
        assert calls(aws, lambda: store.deliver(credential)) == [DESCRIBE]

    def test_beside_other_members_is_read_and_not_written_again(
        self, aws: Emulator, store: Store, client: Any, name: str
    ) -> None:
        credential = fresh_credential()
        client.create_secret(Name=name, SecretString='{"DB_PASSWORD": "x"}')
        receipt = store.deliver(credential)
        assert calls(aws, lambda: store.deliver(credential)) == [DESCRIBE, READ]
        again = store.deliver(credential)
        assert (again.written, again.stamp) == (False, receipt.stamp)
        revision = store.load().revision
        assert calls(aws, lambda: store.put(credential, revision)) == [READ, DESCRIBE]


class TestAValue:
    def test_that_is_no_text_holds_no_credential_and_is_known_again_by_its_version(
        self, store: Store, client: Any, name: str
    ) -> None:
        version = client.create_secret(Name=name, SecretBinary=b"\x00")["VersionId"]
        for holding in (store.held(), store.load().holding):
            assert holding == CannotTell("its content is binary", stamp=version)
        with pytest.raises(ServiceRejected, match=store.name):
            store.credential()
        for act in (store.preflight, lambda: store.deliver(fresh_credential())):
            with pytest.raises(ServiceRejected, match="binary"):
                act()

    def test_that_cannot_be_read_is_named_by_its_url(self, store: Store, client: Any, name: str) -> None:
        client.create_secret(Name=name, SecretString='{"AccessKeyId": 5, "SecretAccessKey": "x"}')
        with pytest.raises(ServiceRejected, match=store.name):
            store.credential()
        client.put_secret_value(SecretId=name, SecretString="no journal", VersionStages=[JOURNAL])
        with pytest.raises(ServiceRejected, match=store.name):
            store.load()

    def test_may_fill_the_secret_and_is_refused_if_it_is_one_byte_longer(
        self, aws: Emulator, store: Store, client: Any, name: str
    ) -> None:
        credential = fresh_credential()
        client.create_secret(Name=name, SecretString="{}")
        store.deliver(credential)
        length = len(client.get_secret_value(SecretId=name)["SecretString"])

        def fill(left: int) -> None:
            client.put_secret_value(SecretId=name, SecretString=json.dumps({"x": "x" * (left - len(', "x": ""'))}))

        fill(LIMIT - length)
        store.preflight()
        assert store.deliver(credential).written
        fill(LIMIT - length + 1)
        for act in (store.preflight, lambda: store.deliver(credential)):
            with pytest.raises(ServiceRejected, match=f"{store.name} would have {LIMIT + 1} bytes"):
                act()
        assert credential.access_key_id not in client.get_secret_value(SecretId=name)["SecretString"]

    def test_is_read_for_a_token_if_it_is_text(self, services: Services, client: Any, name: str) -> None:
        with pytest.raises(NotFound):
            services.read_secret(f"secretsmanager:{name}")
        arn = client.create_secret(Name=name, SecretString="token")["ARN"]
        assert [services.read_secret(f"secretsmanager:{one}") for one in (name, arn)] == ["token"] * 2
        client.put_secret_value(SecretId=name, SecretBinary=b"\x00")
        with pytest.raises(NotFound, match="binary"):
            services.read_secret(f"secretsmanager:{name}")


class TestAJournal:
    def test_may_be_as_long_as_a_value_and_no_longer(self, store: Store) -> None:
        def journal(length: int) -> Journal:
            return Journal(delivered={"x" * length: Delivery(key="AKIAEXAMPLE000000001", at=AT)})

        longest = LIMIT - len(encode_journal(journal(0)).encode())
        store.room_for(journal(longest))
        with pytest.raises(ServiceRejected, match=store.name):
            store.room_for(journal(longest + 1))

    def test_alone_is_current_and_no_credential_and_is_not_read_twice(self, aws: Emulator, store: Store) -> None:
        store.save_journal(Journal(epoch=1), store.load().revision)
        assert calls(aws, store.load) == [DESCRIBE]
        assert store.load().holding == NotHeld()

    @pytest.mark.parametrize("code", ["AccessDeniedException", "InvalidParameterException"])
    def test_that_was_not_labelled_says_whether_the_secret_was_created(
        self, aws: Emulator, store: Store, client: Any, code: str
    ) -> None:
        aws.weather.add(Rule(f"secretsmanager:{MOVE}", times=None, effect="error_before", status=400, code=code))
        created = outcome(lambda: store.save_journal(Journal(), Revision(exists=False)))
        assert "was created" in getattr(created, "state", "")
        again = outcome(lambda: store.save_journal(Journal(), store.load().revision))
        assert isinstance(again, type(created))
        assert "was created" not in getattr(again, "state", "")


def test_what_the_preflight_tries_is_not_tried_after_a_journal_was_written(
    aws: Emulator, services: Services, store: Store
) -> None:
    store.save_journal(Journal(), store.put(fresh_credential(), store.load().revision))
    aws.weather.add(denied(f"secretsmanager:{ADD}"))
    assert calls(aws, store.preflight) == [DESCRIBE, READ]
    assert ADD in str(outcome(open_destination(store.name, services).preflight))
