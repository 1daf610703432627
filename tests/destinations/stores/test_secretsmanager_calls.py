"""What each call about a secret does when it is refused, denied or in doubt, and which secrets a list has."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from support.store_faults import denied
from twokey.aws.clock import ServiceClock
from twokey.core.errors import AccessDenied, Ambiguous, Conflict, NotFound, ServiceRejected
from twokey.core.journal import Delivery, Intent, Journal
from twokey.core.model import Held
from twokey.destinations.registry import Services, kind_of, open_destination, open_store, parse
from twokey.destinations.stores.secretsmanager import Revision
from twokey.destinations.stores.secretsmanager_list import listed
from twokey.destinations.stores.secretsmanager_versions import CURRENT, JOURNAL_PENDING, PENDING, Versions
from twokey.emulator import Emulator, Rule
from twokey.testing.stores import AT, fresh_credential, fresh_name, outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.core.destination import Store
    from twokey.destinations.stores.secretsmanager_versions import Labels

DESCRIBE, READ, LIST = "DescribeSecret", "GetSecretValue", "ListSecrets"
CREATE, ADD, MOVE = "CreateSecret", "PutSecretValue", "UpdateSecretVersionStage"
LISTS = "twokey.destinations.stores.secretsmanager_list."


@pytest.fixture
def client(administrator: Callable[[str], Any]) -> Any:
    return administrator("secretsmanager")


@pytest.fixture
def name() -> str:
    return f"machine-users/{fresh_name()}"


@pytest.fixture
def store(name: str, services: Services) -> Store:
    return open_store(f"secretsmanager:{name}", services)


@pytest.fixture
def versions(name: str, services: Services) -> Versions:
    return Versions(services.clients, name, None)


def refusal(operation: str, code: str = "ValidationException", times: int | None = 1) -> Rule:
    return Rule(f"secretsmanager:{operation}", times=times, effect="error_before", status=400, code=code)


def in_doubt(operation: str) -> Rule:
    return Rule(f"secretsmanager:{operation}", times=None, effect="error_before")


def calls(aws: Emulator, act: Callable[[], object]) -> list[str]:
    aws.clear_requests()
    act()
    return [request.operation for request in aws.requests]


def test_a_missing_secret_is_created_with_its_pair_and_read_back(aws: Emulator, store: Store) -> None:
    assert calls(aws, lambda: store.deliver(fresh_credential())) == [DESCRIBE, CREATE, DESCRIBE]


def test_a_secret_without_a_key_in_its_url_is_created_without_one(store: Store, client: Any, name: str) -> None:
    store.deliver(fresh_credential())
    assert "KmsKeyId" not in client.describe_secret(SecretId=name)


def test_a_fence_creates_a_missing_secret_and_the_put_after_it_finds_it(store: Store) -> None:
    revision = store.fence(store.load().revision)
    credential = fresh_credential()
    assert store.put(credential, revision) == store.load().revision
    assert store.held() == Held(credential.access_key_id)


def test_every_key_that_the_journal_names_is_known_without_reading_the_secret(aws: Emulator, store: Store) -> None:
    key = (credential := fresh_credential()).access_key_id
    revision = store.put(credential, store.load().revision)
    for journal in (
        Journal(current=key),
        Journal(last=key),
        Journal(delivered={"github:acme/site": Delivery(key=key, at=AT)}),
        Journal(intent=Intent(known=(key,), at=AT)),
    ):
        revision = store.save_journal(journal, revision)
        assert calls(aws, store.load) == [DESCRIBE]
        assert store.load().holding == Held(key)


def test_a_value_with_other_members_has_an_id_that_is_not_one_of_a_pair(
    aws: Emulator, store: Store, client: Any, name: str
) -> None:
    client.create_secret(Name=name, SecretString='{"DB_PASSWORD": "x"}')
    assert uuid.UUID(store.deliver(fresh_credential()).stamp).version == 4
    aws.weather.add(denied(f"secretsmanager:{READ}"))
    with pytest.raises(AccessDenied, match=f"secretsmanager:{READ} on {name}") as raised:
        store.deliver(fresh_credential())
    assert "other members" in raised.value.remedy


def test_the_value_of_another_program_is_not_overwritten_unread_whatever_the_id_of_its_version(
    aws: Emulator, store: Store, client: Any, name: str
) -> None:
    client.create_secret(Name=name, SecretString="{}", ClientRequestToken="of-another-program-" + "0" * 32)
    aws.weather.add(denied(f"secretsmanager:{READ}"))
    with pytest.raises(AccessDenied, match=f"secretsmanager:{READ} on {name}"):
        store.deliver(fresh_credential())


def test_a_version_that_aws_has_removed_since_is_a_conflict(store: Store) -> None:
    store.deliver(fresh_credential())
    assert isinstance(outcome(lambda: store.put(fresh_credential(), Revision(current=str(uuid.uuid4())))), Conflict)


def test_a_value_that_has_no_room_for_a_pair_is_named_in_the_preflight(store: Store, client: Any, name: str) -> None:
    client.create_secret(Name=name, SecretString="another program's")
    with pytest.raises(ServiceRejected, match=name):
        store.preflight()


def test_a_secret_without_a_version_and_one_that_is_named_by_its_arn_pass_the_preflight(
    aws: Emulator, services: Services, store: Store, client: Any, name: str
) -> None:
    arn = client.create_secret(Name=name)["ARN"]
    for one in (store, open_destination(f"secretsmanager:{arn}", services)):
        assert calls(aws, one.preflight) == [DESCRIBE]


class TestWhatThePreflightTries:
    def test_is_refused_if_aws_rejects_it_for_another_reason(self, aws: Emulator, store: Store) -> None:
        store.deliver(fresh_credential())
        aws.weather.add(refusal(ADD))
        with pytest.raises(ServiceRejected, match="ValidationException"):
            store.preflight()

    def test_is_seen_by_no_reader_if_the_version_is_missing_after_all(self, store: Store, versions: Versions) -> None:
        store.deliver(fresh_credential())
        current, version = versions.labels().holder(CURRENT), str(uuid.uuid4())
        versions.would_be_refused(version)
        assert versions.labels().holder(CURRENT) == current
        assert versions.labels().stages[version] == [JOURNAL_PENDING]


class TestACreation:
    def test_that_is_denied_says_how_the_secret_can_be_created_beforehand(
        self, aws: Emulator, store: Store, name: str
    ) -> None:
        aws.weather.add(refusal(CREATE, "AccessDeniedException"))
        error = outcome(lambda: store.deliver(fresh_credential()))
        assert isinstance(error, AccessDenied)
        assert f"create-secret --name {name} " in error.remedy

    def test_that_is_rejected_is_no_lost_race(self, aws: Emulator, store: Store) -> None:
        aws.weather.add(refusal(CREATE))
        assert type(outcome(lambda: store.deliver(fresh_credential()))) is ServiceRejected

    def test_in_doubt_is_no_lost_race_although_there_is_a_secret(self, aws: Emulator, store: Store) -> None:
        store.deliver(fresh_credential())
        aws.weather.add(in_doubt(CREATE))
        assert isinstance(outcome(lambda: store.put(fresh_credential(), Revision(exists=False))), Ambiguous)

    def test_in_doubt_that_cannot_be_looked_up_stays_in_doubt(self, aws: Emulator, versions: Versions) -> None:
        for rule in (in_doubt(CREATE), denied(f"secretsmanager:{DESCRIBE}")):
            aws.weather.add(rule)
        assert isinstance(outcome(lambda: versions.create(str(uuid.uuid4()), "{}")), Ambiguous)


class TestAVersion:
    def test_that_is_rejected_is_not_looked_up(self, aws: Emulator, store: Store) -> None:
        revision = store.put(fresh_credential(), store.load().revision)
        aws.weather.add(refusal(ADD))
        error: list[object] = []
        assert calls(aws, lambda: error.append(outcome(lambda: store.put(fresh_credential(), revision)))) == [READ, ADD]
        assert type(error[0]) is ServiceRejected
        assert "versions" not in error[0].message

    def test_in_doubt_that_cannot_be_looked_up_stays_in_doubt(
        self, aws: Emulator, store: Store, versions: Versions
    ) -> None:
        store.deliver(fresh_credential())
        for rule in (in_doubt(ADD), denied(f"secretsmanager:{DESCRIBE}")):
            aws.weather.add(rule)
        assert isinstance(outcome(lambda: versions.add(str(uuid.uuid4()), "{}", PENDING)), Ambiguous)

    def test_of_a_secret_with_as_many_as_aws_allows_says_so(self, aws: Emulator, store: Store) -> None:
        revision = store.put(fresh_credential(), store.load().revision)
        aws.weather.add(refusal(ADD, "LimitExceededException"))
        with pytest.raises(ServiceRejected, match="as many versions as AWS allows") as raised:
            store.put(fresh_credential(), revision)
        assert "LimitExceededException" in raised.value.message


class TestAMove:
    @pytest.fixture
    def pending(self, store: Store, versions: Versions) -> str:
        store.deliver(fresh_credential())
        version = str(uuid.uuid4())
        versions.add(version, "{}", PENDING)
        return version

    @pytest.mark.parametrize("code", ["ResourceNotFoundException", "InvalidParameterException"])
    def test_that_fails_is_a_lost_race_only_if_the_label_was_moved(
        self, aws: Emulator, versions: Versions, pending: str, code: str
    ) -> None:
        aws.weather.add(refusal(MOVE, code, times=None))
        current = versions.labels().holder(CURRENT)
        error = outcome(lambda: versions.move(CURRENT, to=pending, source=current))
        assert type(error) is (NotFound if code.startswith("R") else ServiceRejected)
        lost = outcome(lambda: versions.move(CURRENT, to=pending, source=str(uuid.uuid4())))
        assert isinstance(lost, Conflict)

    def test_that_is_rejected_and_cannot_be_looked_up_names_what_is_denied(
        self, aws: Emulator, versions: Versions, pending: str
    ) -> None:
        for rule in (refusal(MOVE), refusal(DESCRIBE, "AccessDeniedException")):
            aws.weather.add(rule)
        with pytest.raises(AccessDenied, match=f"secretsmanager:{DESCRIBE} on {versions.secret_id}"):
            versions.move(CURRENT, to=pending, source=None)


def test_a_request_that_the_secrets_state_forbids_is_rejected(aws: Emulator, store: Store) -> None:
    store.deliver(fresh_credential())
    aws.weather.add(refusal(DESCRIBE, "InvalidRequestException", times=None))
    assert type(outcome(store.load)) is ServiceRejected


def test_a_read_back_that_is_denied_is_in_doubt_and_named(aws: Emulator, store: Store, name: str) -> None:
    aws.weather.add(refusal(DESCRIBE, "AccessDeniedException"))
    error = outcome(lambda: store.put(fresh_credential(), Revision(exists=False)))
    assert isinstance(error, Ambiguous)
    assert f"reading it back failed: Access denied: secretsmanager:{DESCRIBE} on {name}" in error.message


def test_a_label_that_no_read_shows_is_looked_for_with_longer_and_longer_pauses(
    services: Services, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(services.clients, "clock", ServiceClock(sleep=slept.append, monotonic=lambda: sum(slept)))
    assert isinstance(outcome(lambda: Versions(services.clients, name, None).confirm(CURRENT, "v")), Ambiguous)
    assert slept == pytest.approx([0.2, 0.4, 0.6])


class TestAList:
    @pytest.fixture(autouse=True)
    def _of_one_a_page(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(f"{LISTS}PAGE", 1)

    @pytest.mark.parametrize(
        ("worth", "created", "pages", "found"),
        [
            (1, "a bb", 2, "a bb"),
            (1, "a c bb", 3, "a bb"),
            (2, "a c bb", 2, "a"),
            (1, "a bb c", 2, "a bb"),
            (1, "a", 1, "a"),
        ],
    )
    @pytest.mark.usefixtures("aws")
    def test_has_as_many_pages_as_are_worth_it(
        self,
        worth: int,
        created: str,
        pages: int,
        found: str,
        services: Services,
        emulator: Emulator,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(f"{LISTS}WORTH", worth)
        name, client = fresh_name(), emulator.client("secretsmanager")
        client.create_secret(Name=f"before-{name}/a", SecretString="{}")  # it does not begin as those that are wanted
        for one in created.split():
            client.create_secret(Name=f"{name}/{one}", SecretString="{}")
        labels: dict[str, Labels] = {}
        read = calls(emulator, lambda: labels.update(listed(services.clients, None, [f"{name}/a", f"{name}/bb"])))
        assert read == [LIST] * pages
        assert sorted(labels) == [f"{name}/{one}" for one in found.split()]
        assert all(one.holder(CURRENT) for one in labels.values())

    def test_of_one_is_not_read(self, aws: Emulator, services: Services, name: str) -> None:
        assert listed(services.clients, None, [name]) == {}
        assert not aws.requests

    def test_that_may_not_be_read_is_named(self, aws: Emulator, services: Services) -> None:
        aws.weather.add(refusal(LIST, "AccessDeniedException"))
        with pytest.raises(AccessDenied, match=rf"secretsmanager:{LIST} on \*( |\.|$)"):
            listed(services.clients, None, ["a", "b"])


def test_a_secret_that_had_no_version_when_it_was_listed_is_left_to_be_loaded_by_itself(
    services: Services, client: Any, name: str
) -> None:
    addresses = [parse(f"secretsmanager:{name}/{one}") for one in ("a", "b")]
    for address in addresses:
        client.create_secret(Name=address.rest)
    load_many = kind_of("secretsmanager").load_many
    assert load_many is not None
    load = next(iter(load_many(addresses, services)))
    store = open_store(addresses[0].url, services)
    store.save_journal(Journal(epoch=1), store.load().revision)
    assert load() == {}
