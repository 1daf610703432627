"""What is looked at right before a request to AWS leaves: the lease may be over by then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from twokey.aws.pace import Pacer
from twokey.aws.sending import Sender
from twokey.core import waiting
from twokey.core.errors import Ambiguous, Conflict
from twokey.emulator import Rule

if TYPE_CHECKING:
    from support.rig import Rig


def forbid() -> None:
    raise Conflict("The lease is over.")


def put(rig: Rig) -> Any:
    sender = Sender(rig.clients(), "ssm")
    return sender.send("PutParameter", "/ci", Name="/ci", Value="{}", Type="String", Overwrite=True)


class TestARequestThatMustNotLeaveAnyMore:
    def test_is_not_sent_where_it_may_change_something(self, rig: Rig) -> None:
        with waiting.during(lambda _: None, forbid), pytest.raises(Conflict):
            put(rig)
        assert rig.aws.count("ssm:PutParameter") == 0

    def test_is_sent_where_it_only_reads(self, rig: Rig) -> None:
        put(rig)
        with waiting.during(lambda _: None, forbid):
            sender = Sender(rig.clients(), "ssm")
            assert sender.send("GetParameter", "/ci", mutates=False, Name="/ci")["Parameter"]["Version"] == 1

    @pytest.mark.parametrize(("effect", "error"), [("throttle", Conflict), ("lost_response", Ambiguous)])
    def test_is_not_sent_again_either_and_leaves_the_first_attempt_as_it_is(
        self, rig: Rig, effect: str, error: type[Exception]
    ) -> None:
        asked: list[int] = []

        def forbid_the_second() -> None:
            asked.append(1)
            if len(asked) > 1:
                forbid()

        rig.aws.weather.add(Rule("ssm:PutParameter", effect=effect))
        with waiting.during(lambda _: None, forbid_the_second), pytest.raises(error):
            put(rig)
        assert rig.aws.count("ssm:PutParameter") == 1


def test_many_requests_are_paced_where_that_is_wanted_so_that_few_are_throttled(rig: Rig) -> None:
    def throttled(*, paced: bool) -> int:
        clients = rig.clients()
        sender = Sender(clients, "ssm", pacer=Pacer(clients.clock) if paced else None)
        rig.aws.clear_requests()
        rig.aws.weather.throttle("ssm", rate=5, burst=5)
        for _ in range(60):
            sender.send("GetParameter", "/ci", mutates=False, Name="/ci")
        return rig.aws.count("ssm:*") - 60

    put(rig)
    assert throttled(paced=True) * 3 < throttled(paced=False)
