"""What a write to a parameter does when another writer, a replica that is out of date or an error comes between."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from twokey.aws.clock import ServiceClock
from twokey.core.errors import AccessDenied, Ambiguous, Conflict, ServiceRejected
from twokey.core.journal import Journal
from twokey.core.model import Held
from twokey.destinations.registry import Services, kind_of, open_store, parse
from twokey.destinations.stores.ssm import TOGETHER, Revision
from twokey.destinations.stores.ssm_versions import FULL
from twokey.emulator import Rule
from twokey.testing.stores import fresh_credential, fresh_name, outcome, pair

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
def slept(services: Services, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses of stores that are opened from now on; no time passes otherwise."""
    pauses: list[float] = []
    clock = ServiceClock(sleep=pauses.append, monotonic=lambda: sum(pauses))
    monkeypatch.setattr(services.clients, "clock", clock)
    return pauses


@pytest.fixture
def name() -> str:
    return f"/machine-users/{fresh_name()}"


@pytest.fixture
def store(name: str, services: Services, slept: list[float]) -> Store:
    return open_store(f"ssm:{name}", services)


def refusal(operation: str, code: str = "ValidationException", times: int | None = 1) -> Rule:
    return Rule(f"ssm:{operation}", times=times, effect="error_before", status=400, code=code)


def before_the_write(
    monkeypatch: pytest.MonkeyPatch, store: Any, act: Callable[[], object], late: bool = False
) -> None:
    """Let another writer act once: after the store has looked, or ``late``, right after it has written."""
    name = "_check_overtaken" if late else "_write"
    whole = getattr(type(store), name)

    def then(*arguments: Any, **named: Any) -> Any:
        monkeypatch.setattr(type(store), name, whole)
        if late:
            whole(*arguments, **named)
            return act()
        act()
        return whole(*arguments, **named)

    monkeypatch.setattr(type(store), name, then)


LONGER = [0.2, 0.4, 0.6]


@pytest.mark.parametrize(
    ("seen", "pauses"),
    [
        (Revision(), []),
        (Revision(credential=1), []),
        (Revision(credential=2), LONGER),
        (Revision(journal=1, credential=1), LONGER),
    ],
)
def test_a_read_that_shows_less_than_was_seen_is_repeated_with_longer_and_longer_pauses(
    store: Store, slept: list[float], seen: Revision, pauses: list[float]
) -> None:
    store.deliver(fresh_credential())
    slept.clear()
    error = outcome(lambda: store.put(fresh_credential(), seen))
    assert isinstance(error, Conflict) == (seen != Revision(credential=1))
    assert slept == pytest.approx(pauses)


def test_a_value_that_no_read_shows_is_looked_for_with_longer_and_longer_pauses(
    aws: Emulator, store: Store, slept: list[float]
) -> None:
    aws.weather.add(refusal(GET, "ParameterNotFound", times=None))
    assert isinstance(outcome(lambda: store.put(fresh_credential(), Revision())), Ambiguous)
    assert slept == pytest.approx(LONGER)


def test_a_read_back_that_is_denied_is_in_doubt_and_named(aws: Emulator, store: Store, name: str) -> None:
    aws.weather.add(refusal(GET, "AccessDeniedException"))
    error = outcome(lambda: store.put(fresh_credential(), Revision()))
    assert isinstance(error, Ambiguous)
    assert f"reading it back failed: Access denied: ssm:{GET} on {name}" in error.message


def test_a_version_between_that_no_read_shows_is_looked_for_with_longer_and_longer_pauses(
    aws: Emulator, store: Store, slept: list[float], client: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_and_lag() -> None:
        client.put_parameter(Name=name + JOURNAL, Value="x", Overwrite=True)
        aws.weather.add(refusal(GET, "ParameterVersionNotFound", times=None))

    revision = store.save_journal(Journal(epoch=1), Revision())
    before_the_write(monkeypatch, store, write_and_lag)
    slept.clear()
    assert isinstance(outcome(lambda: store.save_journal(Journal(epoch=2), revision)), Ambiguous)
    assert slept == pytest.approx(LONGER)


def test_a_journal_that_was_deleted_is_a_conflict(store: Store, client: Any, name: str) -> None:
    revision = store.save_journal(Journal(epoch=1), Revision())
    client.delete_parameter(Name=name + JOURNAL)
    assert isinstance(outcome(lambda: store.put(fresh_credential(), revision)), Conflict)


def test_the_same_value_of_another_writer_is_no_conflict(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    revision = store.put(fresh_credential(), Revision())
    credential = fresh_credential()
    before_the_write(monkeypatch, store, lambda: store.deliver(credential))
    assert store.put(credential, revision) == store.load().revision


def test_an_earlier_value_of_another_writer_is_written_back_although_the_latest_is_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = store.put(fresh_credential(), Revision())
    theirs, credential = fresh_credential(), fresh_credential()
    before_the_write(monkeypatch, store, lambda: (store.deliver(theirs), store.deliver(credential)))
    assert isinstance(outcome(lambda: store.put(credential, revision)), Conflict)
    assert store.held() == Held(theirs.access_key_id)


def test_what_may_not_be_written_back_is_in_doubt_and_named(
    aws: Emulator, store: Store, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = store.put(fresh_credential(), Revision())
    aws.weather.add(Rule(f"ssm:{PUT}", nth=3, effect="error_before", status=400, code="AccessDeniedException"))
    before_the_write(monkeypatch, store, lambda: store.deliver(fresh_credential()))
    error = outcome(lambda: store.put(fresh_credential(), revision))
    assert isinstance(error, Ambiguous)
    assert f"ssm:{PUT} on {name}" in error.message


def test_a_value_that_was_written_back_has_the_newest_number(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    credential = fresh_credential()

    def write_and_write_back() -> None:
        for one in (fresh_credential(), credential):
            store.deliver(one)

    before_the_write(monkeypatch, store, write_and_write_back, late=True)
    assert store.put(credential, Revision()) == store.load().revision


def test_what_is_written_back_keeps_the_settings_of_its_parameter(
    store: Store, client: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.put_parameter(Name=name, Value="{}", Type="SecureString", KeyId="alias/shop", Description="Of the shop")
    theirs = fresh_credential()
    before_the_write(monkeypatch, store, lambda: store.deliver(theirs))
    assert isinstance(outcome(lambda: store.put(fresh_credential(), Revision(credential=1))), Conflict)
    [about] = client.describe_parameters(ParameterFilters=[{"Key": "Name", "Values": [name]}])["Parameters"]
    assert (about["KeyId"], about["Description"]) == ("alias/shop", "Of the shop")
    assert json.loads(client.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]) == pair(theirs)


class TestARefusedWrite:
    def test_of_what_is_there_already_is_refused_and_costs_one_more_read(self, aws: Emulator, store: Store) -> None:
        revision = store.save_journal(Journal(epoch=1), Revision())
        aws.weather.add(refusal(PUT))
        aws.clear_requests()
        assert type(outcome(lambda: store.save_journal(Journal(epoch=1), revision))) is ServiceRejected
        assert [request.operation for request in aws.requests] == [BOTH, PUT, GET]

    def test_of_what_is_missing_is_refused(self, aws: Emulator, store: Store) -> None:
        aws.weather.add(refusal(PUT))
        assert type(outcome(lambda: store.deliver(fresh_credential()))) is ServiceRejected

    def test_stays_one_where_it_cannot_be_looked_up(self, aws: Emulator, store: Store) -> None:
        revision = store.save_journal(Journal(epoch=1), Revision())
        aws.weather.add(refusal(PUT))
        aws.weather.add(refusal(GET, "AccessDeniedException"))
        assert type(outcome(lambda: store.save_journal(Journal(epoch=2), revision))) is ServiceRejected

    @pytest.mark.parametrize("denied", [True, False])
    def test_for_its_number_of_versions_stays_one_where_no_label_is_found(
        self, aws: Emulator, store: Store, denied: bool
    ) -> None:
        revision = store.save_journal(Journal(epoch=1), Revision())
        aws.weather.add(refusal(PUT, FULL))
        if denied:
            aws.weather.add(refusal(HISTORY, "AccessDeniedException"))
        error = outcome(lambda: store.save_journal(Journal(epoch=2), revision))
        assert type(error) is ServiceRejected
        assert FULL in error.message

    def test_in_doubt_is_no_lost_race_although_another_program_wrote_since(
        self, aws: Emulator, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        revision = store.put(fresh_credential(), Revision())

        def write_and_fail() -> None:
            store.deliver(fresh_credential())
            aws.weather.add(Rule(f"ssm:{PUT}", times=None, effect="error_before"))

        before_the_write(monkeypatch, store, write_and_fail)
        assert isinstance(outcome(lambda: store.put(fresh_credential(), revision)), Ambiguous)


@pytest.mark.parametrize(
    ("operation", "act", "suffix"),
    [
        (GET, lambda store: store.held(), ""),
        (BOTH, lambda store: store.load(), ""),
        (HISTORY, lambda store: store.preflight(), ""),
        (PUT, lambda store: store.preflight(), ""),
        (PUT, lambda store: store.deliver(fresh_credential()), ""),
        (PUT, lambda store: store.save_journal(Journal(), store.load().revision), JOURNAL),
    ],
)
def test_a_call_that_is_denied_is_named_with_its_parameter(
    aws: Emulator, store: Store, name: str, operation: str, act: Callable[[Store], object], suffix: str
) -> None:
    store.deliver(fresh_credential())
    aws.weather.add(refusal(operation, "AccessDeniedException"))
    with pytest.raises(AccessDenied, match=rf"ssm:{operation} on {name}{suffix}(\. |\.?$| )"):
        act(store)


def test_a_denied_creation_says_how_each_parameter_can_be_created_beforehand(aws: Emulator, store: Store) -> None:
    acts: dict[str, Callable[[], object]] = {
        "--type SecureString --value '{": lambda: store.deliver(fresh_credential()),
        f"{JOURNAL} --type String --value '{{": lambda: store.save_journal(Journal(), Revision()),
    }
    for command, act in acts.items():
        aws.weather.add(refusal(PUT, "AccessDeniedException"))
        error = outcome(act)
        assert isinstance(error, AccessDenied)
        assert command in error.remedy
    store.deliver(fresh_credential())
    aws.weather.add(refusal(PUT, "AccessDeniedException"))
    assert "beforehand" not in getattr(outcome(lambda: store.deliver(fresh_credential())), "remedy", "")


def test_a_value_that_would_be_too_long_is_refused_before_it_is_sent(
    aws: Emulator, store: Store, client: Any, name: str
) -> None:
    client.put_parameter(Name=name, Value=json.dumps({"pad": "x" * 4000}), Type="SecureString")
    aws.clear_requests()
    for act in (store.preflight, lambda: store.deliver(fresh_credential())):
        with pytest.raises(ServiceRejected, match=f"{store.name} would have"):
            act()
    assert [request.operation for request in aws.requests] == [GET, HISTORY] * 2


def test_a_preflight_that_aws_rejects_for_another_reason_is_refused(aws: Emulator, store: Store) -> None:
    store.deliver(fresh_credential())
    aws.weather.add(refusal(PUT))
    with pytest.raises(ServiceRejected, match="ValidationException"):
        store.preflight()


def test_a_parameter_that_is_deleted_during_the_preflight_is_then_encrypted_and_holds_no_pair(
    store: Store, client: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.deliver(fresh_credential())
    read = type(store)._history  # type: ignore[attr-defined]

    def read_and_delete(*arguments: Any) -> Any:
        found = read(*arguments)
        client.delete_parameter(Name=name)
        return found

    monkeypatch.setattr(type(store), "_history", read_and_delete)
    store.preflight()
    assert client.get_parameter(Name=name)["Parameter"]["Type"] == "SecureString"
    assert store.load().revision == Revision(credential=1)


def test_many_parameters_are_read_at_the_rate_that_aws_lets_through(
    aws: Emulator, services: Services, slept: list[float]
) -> None:
    aws.weather.add(Rule(f"ssm:{BOTH}", effect="throttle"))
    load_many = kind_of("ssm").load_many
    assert load_many is not None
    urls = [f"ssm:/machine-users/{number}" for number in range(3 * TOGETHER)]
    assert [url for load in load_many([parse(url) for url in urls], services) for url in load()] == urls
    assert len(slept) > 1, "only the request that AWS throttled waited"
