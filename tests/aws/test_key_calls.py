"""The calls that change access keys, against the strict emulator: what their responses prove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from twokey.aws.clients import Clients
from twokey.aws.clock import ServiceClock
from twokey.aws.iam import Iam
from twokey.core.errors import Ambiguous, Conflict, NotFound, ServiceError, Throttled, Unreachable
from twokey.emulator import Rule
from twokey.testing.contract import Hurried

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.rig import Rig


class TestADeletion:
    def test_says_that_it_deleted_the_key(self, rig: Rig) -> None:
        last, current = rig.settled()
        assert Iam(rig.clients()).delete_key("ci", last.access_key_id) is True
        assert rig.ids() == [current.access_key_id]

    def test_says_that_iam_knows_no_such_key_even_where_there_is_one(self, rig: Rig) -> None:
        last, _ = rig.settled()
        unknown = Rule("iam:DeleteAccessKey", effect="error_before", status=404, code="NoSuchEntity")
        rig.aws.weather.add(unknown)
        assert Iam(rig.clients()).delete_key("ci", last.access_key_id) is False
        assert last.access_key_id in rig.ids()

    def test_says_the_same_of_a_deleted_key_and_of_a_deleted_user(self, rig: Rig) -> None:
        last, _ = rig.settled()
        iam = Iam(rig.clients())
        iam.delete_key("ci", last.access_key_id)
        assert iam.delete_key("ci", last.access_key_id) is False
        assert iam.delete_key("nobody", last.access_key_id) is False


class TestACreation:
    def test_calls_just_before_once_for_each_time_that_it_is_sent_and_ahead_of_it(self, rig: Rig) -> None:
        rig.settled()
        rig.aws.key_quota = 3
        rig.aws.weather.add(Rule("iam:CreateAccessKey", effect="throttle", times=2))
        sent_by_then: list[int] = []
        Iam(rig.clients()).create_key("ci", lambda: sent_by_then.append(rig.aws.count("iam:CreateAccessKey")))
        assert sent_by_then == [0, 1, 2]

    @pytest.mark.parametrize("effect", ["error_after", "lost_response"])
    def test_is_sent_once_also_as_the_first_request_of_a_client(self, rig: Rig, effect: Any) -> None:
        """botocore sends that one, and it repeats requests."""
        rig.settled()
        rig.aws.key_quota = 9
        rig.aws.weather.add(Rule("iam:CreateAccessKey", effect=effect, times=None))
        with pytest.raises(Ambiguous):
            Iam(rig.clients()).create_key("ci")
        assert (rig.aws.count("iam:CreateAccessKey"), len(rig.ids())) == (1, 3)

    def test_calls_just_before_after_the_wait_for_its_turn(self, rig: Rig) -> None:
        rig.settled()
        rig.aws.key_quota = 3
        seen: list[str] = []
        hurried = Hurried()

        def sleep(seconds: float) -> None:
            seen.append("wait")
            hurried.sleep(seconds)

        rig.aws.weather.add(Rule("iam:CreateAccessKey", effect="throttle", times=6))
        iam = Iam(Clients("run", clock=ServiceClock(sleep=sleep, monotonic=hurried.monotonic)))
        iam.create_key("ci", lambda: seen.append("just before"))
        assert "wait" in seen
        assert seen[-2:] == ["wait", "just before"]

    @pytest.mark.parametrize("raised", [Conflict("The lease is over."), Throttled("The store is slow."), KeyError("x")])
    def test_is_stopped_by_what_just_before_raises_and_says_it_unchanged(self, rig: Rig, raised: Exception) -> None:
        rig.settled()
        rig.aws.key_quota = 3

        def stop() -> None:
            raise raised

        with pytest.raises(type(raised)) as caught:
            Iam(rig.clients()).create_key("ci", stop)
        assert caught.value is raised
        assert rig.aws.count("iam:CreateAccessKey") == 0

    def test_can_be_stopped_between_two_times_that_it_is_sent(self, rig: Rig) -> None:
        rig.settled()
        rig.aws.weather.add(Rule("iam:CreateAccessKey", effect="throttle", times=None))
        calls = iter([None, Conflict("The lease is over.")])

        def stop() -> None:
            if error := next(calls):
                raise error

        with pytest.raises(Conflict):
            Iam(rig.clients()).create_key("ci", stop)
        assert rig.aws.count("iam:CreateAccessKey") == 1


CHANGES: dict[str, Callable[[Iam, str], object]] = {
    "iam:DeleteAccessKey": lambda iam, key: iam.delete_key("ci", key),
    "iam:UpdateAccessKey": lambda iam, key: iam.deactivate_key("ci", key),
}
REFUSED = {
    "AccessDenied": "not authorized",
    "ExpiredToken": "expired",
    "LimitExceeded": "too much",
    "NoSuchEntity": "not there",
    "Throttling": "Rate exceeded",
}


def refusal(operation: str, code: str, nth: int = 1) -> Rule:
    status = 404 if code == "NoSuchEntity" else 403
    return Rule(operation, nth=nth, times=None, effect="error_before", status=status, code=code, message=REFUSED[code])


def restless(meanwhile: Callable[[], None] = lambda: None) -> Clients:
    """An AWS edge whose time passes only while it sleeps; ``meanwhile`` happens then."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        meanwhile()
        now[0] += seconds

    return Clients("run", clock=ServiceClock(monotonic=lambda: now[0], sleep=sleep))


@pytest.mark.parametrize("change", CHANGES)
class TestAChangeThatIsRepeated:
    @pytest.mark.parametrize("effect", ["lost_response", "error_after", "truncated", "html"])
    def test_is_done_where_only_the_response_was_lost(self, rig: Rig, change: str, effect: str) -> None:
        last, current = rig.settled()
        rig.aws.weather.add(Rule(change, effect=effect))
        CHANGES[change](Iam(restless()), last.access_key_id)
        assert not rig.aws.authenticates(last)
        assert rig.aws.authenticates(current)

    def test_is_done_where_the_key_was_deleted_after_a_lost_response(self, rig: Rig, change: str) -> None:
        last, _ = rig.settled()
        rig.aws.weather.add(Rule(change, effect="reset"))
        rig.aws.weather.add(refusal(change, "NoSuchEntity", nth=2))
        done = CHANGES[change](Iam(restless()), last.access_key_id)
        assert not getattr(done, "request_id", done)

    @pytest.mark.parametrize("code", [code for code in REFUSED if code != "NoSuchEntity"])
    def test_is_in_doubt_where_a_refusal_follows_a_lost_response(self, rig: Rig, change: str, code: str) -> None:
        last, _ = rig.settled()
        rig.aws.weather.add(Rule(change, effect="lost_response"))
        rig.aws.weather.add(refusal(change, code, nth=2))
        with pytest.raises(Ambiguous, match="may have taken effect"):
            CHANGES[change](Iam(restless()), last.access_key_id)
        assert not rig.aws.authenticates(last)

    def test_is_in_doubt_where_no_connection_can_be_made_after_a_lost_response(self, rig: Rig, change: str) -> None:
        last, _ = rig.settled()
        rig.aws.weather.add(Rule(change, effect="lost_response"))
        iam = Iam(restless(rig.aws.stop))
        with pytest.raises(Ambiguous, match="may have taken effect"):
            CHANGES[change](iam, last.access_key_id)

    @pytest.mark.parametrize("code", [code for code in REFUSED if code != "NoSuchEntity"])
    def test_is_in_no_doubt_where_the_first_response_is_a_refusal(self, rig: Rig, change: str, code: str) -> None:
        last, _ = rig.settled()
        rig.aws.weather.add(refusal(change, code))
        with pytest.raises(ServiceError) as caught:
            CHANGES[change](Iam(restless()), last.access_key_id)
        assert not isinstance(caught.value, Ambiguous)
        assert rig.aws.authenticates(last)

    def test_is_in_no_doubt_where_no_connection_can_be_made(self, rig: Rig, change: str) -> None:
        last, _ = rig.settled()
        iam = Iam(restless())
        rig.aws.stop()
        with pytest.raises(Unreachable):
            CHANGES[change](iam, last.access_key_id)


def test_deactivating_a_key_that_iam_does_not_know_is_an_error(rig: Rig) -> None:
    last, _ = rig.settled()
    rig.aws.weather.add(refusal("iam:UpdateAccessKey", "NoSuchEntity"))
    with pytest.raises(NotFound):
        Iam(restless()).deactivate_key("ci", last.access_key_id)
