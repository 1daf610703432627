"""How fast requests are sent: by the documented limits of a service and by its responses, and with the lease kept."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.http_servers import READ, WRITE, Service, connection
from twokey.aws.clock import ServiceClock
from twokey.core.errors import Ambiguous, Conflict, Throttled
from twokey.core.waiting import SLICE, during
from twokey.http.rate_limits import Limit, Pace
from twokey.testing.contract import Hurried
from twokey.testing.server import Fault, ReceivedRequest, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Clock(ServiceClock):
    """Time that passes only where the code under test waits."""

    def __init__(self) -> None:
        self.at = 0.0
        self.slices: list[float] = []
        super().__init__(wall=lambda: 1_800_000_000 + self.at, monotonic=lambda: self.at, sleep=self.pass_by)

    def pass_by(self, seconds: float) -> None:
        self.at += seconds
        self.slices.append(seconds)


def most_within(moments: list[float], seconds: float) -> int:
    """Return the most moments that lie within any stretch of so many seconds, its end left out."""
    return max(sum(start <= moment < start + seconds - 1e-6 for moment in moments) for start in moments)


class TestWindows:
    @pytest.mark.parametrize(("requests", "seconds"), [(1, 1.0), (3, 10.0), (80, 60.0)])
    def test_are_kept_to_and_used_up(self, requests: int, seconds: float) -> None:
        clock = Clock()
        pace = Pace(clock, [Limit(requests, seconds)])
        moments = []
        for _ in range(4 * requests):
            pace.wait(write=True)
            moments.append(clock.at)
        assert most_within(moments, seconds) == requests
        assert moments[-1] == pytest.approx(3 * seconds, abs=0.001)

    def test_several_are_all_kept_to(self) -> None:
        clock = Clock()
        pace = Pace(clock, [Limit(8, 6), Limit(20, 60)])
        moments = []
        for _ in range(60):
            pace.wait(write=True)
            moments.append(clock.at)
        assert most_within(moments, 6) == 8
        assert most_within(moments, 60) == 20

    def test_reads_count_where_the_limit_counts_them(self) -> None:
        clock = Clock()
        pace = Pace(clock, [Limit(2, 10)])
        for _ in range(9):
            pace.wait(write=False)
        assert clock.at == 0
        pace = Pace(clock, [Limit(2, 10, writes_only=False)])
        for _ in range(5):
            pace.wait(write=False)
        assert clock.at == pytest.approx(20, abs=0.001)

    @given(st.lists(st.one_of(st.just("ask"), st.floats(0, 50), st.floats(-50, -1)), max_size=60))
    def test_are_kept_to_whatever_comes_between(self, steps: list[Any]) -> None:
        """A number that is positive is a pause without requests; a negative one a pause that the service wants."""
        clock = Clock()
        pace = Pace(clock, [Limit(3, 10)])
        moments, quiet_until = [], 0.0
        for step in steps:
            if step == "ask":
                pace.wait(write=True)
                moments.append(clock.at)
                assert clock.at >= quiet_until - 1e-6
            elif step >= 0:
                clock.at += step
            else:
                pace.hold(-step)
                quiet_until = max(quiet_until, clock.at - step)
        assert not moments or most_within(moments, 10) <= 3

    def test_are_kept_to_by_those_who_had_their_turns_before_a_pause(self) -> None:
        """They do not all leave at once when it is over."""
        pace = Pace(Clock(), [Limit(1, 10)])
        turns = [pace._reserve(write=True) for _ in range(4)]
        pace.hold(100)
        assert [round(pace._left(turn)) for turn in turns] == [100, 110, 120, 130]
        pace.hold(60)
        assert [round(pace._left(turn)) for turn in turns] == [100, 110, 120, 130]

    def test_are_kept_to_by_many_threads(self) -> None:
        import time

        pace = Pace(ServiceClock(monotonic=time.monotonic), [Limit(5, 0.2)])
        moments: list[float] = []

        def work() -> None:
            for _ in range(3):
                pace.wait(write=True)
                moments.append(time.monotonic())

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        pace.hold(0.15)
        for thread in threads:
            thread.join()
        # A thread may be late to note its moment; the windows of the turns themselves are exact.
        assert most_within(sorted(moments), 0.15) <= 10
        assert max(moments) - min(moments) > 0.6


class Budget(Service):
    """Answers with what a test wants: status and headers for each request in turn, then the value."""

    def __init__(self) -> None:
        super().__init__()
        self.replies: list[tuple[int, dict[str, str]]] = []

    def handle(self, request: ReceivedRequest) -> Reply:
        if not self.replies:
            return super().handle(request)
        status, headers = self.replies.pop(0)
        return Reply(status, {"value": 0} if status == 200 else {"message": "later"}, headers)


@pytest.fixture
def budget() -> Iterator[Budget]:
    with Budget() as service:
        yield service


def in_a_minute(hurried: Hurried, seconds: float = 60) -> str:
    return f"{datetime.now(UTC).timestamp() + hurried.slept + seconds:.0f}"


ANSWERS: dict[str, tuple[int, Callable[[Hurried], dict[str, str]], float]] = {
    "429": (429, lambda _: {}, 30),
    "429 with seconds": (429, lambda _: {"Retry-After": "42"}, 42),
    "429 with a date": (
        429,
        lambda _: {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)},
        90,
    ),
    "429 with a reset": (429, lambda _: {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "50"}, 50),
    "403 of a secondary limit": (403, lambda _: {"Retry-After": "61"}, 61),
    "403 with a reset": (403, lambda h: {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": in_a_minute(h, 700)}, 700),
    "403 without": (403, lambda _: {"X-RateLimit-Remaining": "0"}, 60),
    "503 with seconds": (503, lambda _: {"Retry-After": "77"}, 77),
    "used up, in seconds": (200, lambda _: {"RateLimit-Remaining": "0", "RateLimit-Reset": "45"}, 45),
    "used up, at a time": (200, lambda h: {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": in_a_minute(h)}, 60),
    "nothing": (200, lambda _: {"X-RateLimit-Remaining": "5", "X-RateLimit-Reset": "3000"}, 0),
}  # fmt: skip


class TestWhatAnswersAskFor:
    @pytest.mark.parametrize("name", ANSWERS)
    @pytest.mark.parametrize("sent", [READ, WRITE], ids=["read", "write"])
    def test_is_waited_for(self, budget: Budget, hurried: Hurried, name: str, sent: Any) -> None:
        status, headers, seconds = ANSWERS[name]
        budget.replies.append((status, headers(hurried)))
        http = connection(budget.url, hurried)
        assert http.request(sent).good
        assert http.request(sent).good
        assert seconds - 1.5 <= hurried.slept <= seconds + 3.5

    @pytest.mark.parametrize("after", ["nan", "-5", "soon", "", "1e400", "inf", "5;6"])
    def test_that_is_no_time_is_passed_over(self, budget: Budget, hurried: Hurried, after: str) -> None:
        budget.replies.append((429, {"Retry-After": after}))
        assert connection(budget.url, hurried).request(READ).good
        assert 29 <= hurried.slept <= 31

    def test_without_end_is_given_up_and_proves_that_nothing_was_written(
        self, budget: Budget, hurried: Hurried
    ) -> None:
        budget.replies += [(429, {"Retry-After": "900"})] * 20
        with pytest.raises(Throttled, match="rate limit is exhausted for 900 s"):
            connection(budget.url, hurried).request(WRITE)
        assert hurried.slept < 4000

    def test_that_is_no_wait_at_all_is_not_hammered(self, budget: Budget, hurried: Hurried) -> None:
        budget.replies += [(429, {"Retry-After": "0"})] * 10_000
        with pytest.raises(Throttled):
            connection(budget.url, hurried).request(WRITE)
        assert len(budget.requests) < 200

    def test_after_a_lost_response_leaves_the_write_in_doubt(self, budget: Budget, hurried: Hurried) -> None:
        budget.add(Fault("PUT", "", "lost_response"))
        budget.add(Fault("PUT", "", "throttle", times=None, after=90_000))
        with pytest.raises(Ambiguous):
            connection(budget.url, hurried).request(WRITE)

    def test_holds_back_every_request_that_shares_the_connection(self, budget: Budget, hurried: Hurried) -> None:
        budget.replies.append((200, {"RateLimit-Remaining": "0", "RateLimit-Reset": "45"}))
        http = connection(budget.url, hurried)
        http.request(READ)
        thread = threading.Thread(target=http.request, args=(READ,))
        thread.start()
        thread.join()
        assert hurried.slept >= 44


class TestMeanwhile:
    def test_the_lease_is_kept_while_a_limit_is_waited_for(self, budget: Budget, hurried: Hurried) -> None:
        budget.replies.append((429, {"Retry-After": "33"}))
        kept: list[float] = []
        with during(lambda _: kept.append(hurried.slept)):
            connection(budget.url, hurried).request(WRITE)
        assert kept == [0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0]
        assert max(later - earlier for earlier, later in zip([0.0, *kept], kept, strict=False)) <= SLICE

    def test_the_lease_is_kept_while_a_turn_is_waited_for(self) -> None:
        clock = Clock()
        pace = Pace(clock, [Limit(1, 60)])
        pace.wait(write=True)
        kept: list[float] = []
        with during(lambda _: kept.append(clock.at)):
            pace.wait(write=True)
        assert len(kept) >= 11
        assert max(clock.slices) <= SLICE

    def test_a_lost_lease_ends_the_waiting_before_anything_else_is_sent(self, budget: Budget, hurried: Hurried) -> None:
        def lose(_: float) -> None:
            raise Conflict("The lease is lost.")

        budget.replies.append((429, {"Retry-After": "900"}))
        with during(lose), pytest.raises(Conflict):
            connection(budget.url, hurried).request(WRITE)
        assert (len(budget.requests), budget.written) == (1, 0)
        assert hurried.slept <= SLICE

    def test_is_of_this_thread_alone(self, budget: Budget, hurried: Hurried) -> None:
        budget.replies.append((429, {"Retry-After": "33"}))
        kept: list[None] = []
        with during(lambda _: kept.append(None)):
            thread = threading.Thread(target=connection(budget.url, hurried).request, args=(READ,))
            thread.start()
            thread.join()
        assert kept == []


class TestWritesThatBelongTogether:
    def test_leave_back_to_back_however_little_is_left_of_the_limit(self) -> None:
        hurried = Hurried()
        pace = Pace(ServiceClock(sleep=hurried.sleep, monotonic=hurried.monotonic), (Limit(3, 60),))
        for _ in range(2):
            pace.wait(write=True)
        with pace.together(2):
            before = hurried.slept
            pace.wait(write=True)
            pace.wait(write=True)
            assert hurried.slept == before > 59
        pace.wait(write=True)
        assert hurried.slept == before

    def test_count_as_what_they_are(self) -> None:
        hurried = Hurried()
        pace = Pace(ServiceClock(sleep=hurried.sleep, monotonic=hurried.monotonic), (Limit(4, 60),))
        for _ in range(10):
            with pace.together(2):
                pace.wait(write=True)
                pace.wait(write=True)
        assert 239 < hurried.slept <= 240

    def test_more_than_a_limit_allows_leave_all_the_same(self) -> None:
        hurried = Hurried()
        pace = Pace(ServiceClock(sleep=hurried.sleep, monotonic=hurried.monotonic), (Limit(2, 60),))
        with pace.together(3):
            for _ in range(3):
                pace.wait(write=True)
        assert hurried.slept == 0
