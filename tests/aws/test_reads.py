"""Reads without a response, or with an ambiguous one: they changed nothing, and say so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from twokey.aws.clients import Clients
from twokey.aws.clock import ServiceClock
from twokey.aws.iam import Iam
from twokey.aws.sts import Sts
from twokey.core.errors import Ambiguous, BadCredentials, Refused, ServiceError
from twokey.core.reasons import Reason
from twokey.core.secret import Credential
from twokey.destinations.registry import Services, open_store
from twokey.emulator import Rule
from twokey.rotation.observe import ObservationChanged, observe, with_last_use
from twokey.testing.contract import Hurried

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.rig import Rig

CREDENTIAL = Credential("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
READS: dict[str, Callable[[Clients], Any]] = {
    "iam:ListUsers": lambda clients: list(Iam(clients).users("/")),
    "iam:GetUser": lambda clients: Iam(clients).user("ci"),
    "iam:ListAccessKeys": lambda clients: Iam(clients).keys("ci"),
    "iam:GetAccessKeyLastUsed": lambda clients: Iam(clients).last_use(CREDENTIAL.access_key_id),
    "sts:GetCallerIdentity": lambda clients: Sts(clients).identity_of(CREDENTIAL),
    "secretsmanager:DescribeSecret": lambda clients: open_store(
        "secretsmanager:machine-users/ci", Services(clients)
    ).load(),
    "secretsmanager:GetSecretValue": lambda clients: open_store(
        "secretsmanager:machine-users/ci", Services(clients)
    ).credential(),
    "ssm:GetParameters": lambda clients: open_store("ssm:/ci", Services(clients)).load(),
    "ssm:GetParameter": lambda clients: open_store("ssm:/ci", Services(clients)).credential(),
}


def restless() -> Clients:
    """Return an AWS edge that does not sleep between its attempts."""
    hurried = Hurried()
    return Clients("run", clock=ServiceClock(sleep=hurried.sleep, monotonic=hurried.monotonic))


@pytest.mark.parametrize("effect", ["lost_response", "error_before", "truncated"])
@pytest.mark.parametrize("read", READS)
def test_a_read_with_an_ambiguous_response_says_that_it_changed_nothing(rig: Rig, read: str, effect: str) -> None:
    rig.settled()
    rig.aws.client("ssm").put_parameter(Name="/ci", Value="{}", Type="String")
    rig.aws.weather.add(Rule(read, effect=effect, times=None))
    with pytest.raises(Ambiguous) as caught:
        READS[read](restless())
    assert "taken effect" not in str(caught.value)
    assert caught.value.state == "This call changes nothing."
    assert "Run again" in caught.value.remedy


def test_an_ambiguous_response_about_twokeys_own_identity_changed_nothing(rig: Rig) -> None:
    rig.aws.weather.add(Rule("sts:GetCallerIdentity", effect="truncated", times=None))
    with pytest.raises(Ambiguous) as caught:
        Sts(rig.clients()).caller()
    assert "taken effect" not in str(caught.value)


@pytest.mark.parametrize("write", ["iam:DeleteAccessKey", "iam:UpdateAccessKey", "iam:CreateAccessKey"])
def test_a_change_with_an_ambiguous_response_says_that_it_may_have_taken_effect(rig: Rig, write: str) -> None:
    key = rig.aws.make_user("ci", keys=1)[0].access_key_id
    rig.aws.weather.add(Rule(write, effect="error_before", times=None))
    iam = Iam(restless())
    change: Callable[[], object] = {
        "iam:DeleteAccessKey": lambda: iam.delete_key("ci", key),
        "iam:UpdateAccessKey": lambda: iam.deactivate_key("ci", key),
        "iam:CreateAccessKey": lambda: iam.create_key("ci"),
    }[write]
    with pytest.raises(Ambiguous, match="It may have taken effect"):
        change()


class TestTheLastUse:
    def test_that_cannot_be_read_refuses_even_where_the_second_look_at_the_keys_fails_too(self, rig: Rig) -> None:
        rig.settled()
        for operation, nth in (("iam:GetAccessKeyLastUsed", 1), ("iam:ListAccessKeys", 2)):
            rig.aws.weather.add(denied(operation, nth))
        result = rig.rotate()
        assert (result.outcome, result.reason) == ("refused", Reason.UNREADABLE.value)
        assert "iam:ListAccessKeys" in result.message

    def test_leaves_bad_credentials_as_they_are(self, rig: Rig) -> None:
        error = self.error_after(rig, denied("iam:ListAccessKeys", 1, "ExpiredToken"))
        assert isinstance(error, BadCredentials)

    def test_of_a_user_that_is_gone_meanwhile_makes_it_look_again(self, rig: Rig) -> None:
        assert isinstance(self.error_after(rig, denied("iam:ListAccessKeys", 1, "NoSuchEntity")), ObservationChanged)

    def test_of_keys_that_are_all_there_refuses(self, rig: Rig) -> None:
        error = self.error_after(rig, None)
        assert isinstance(error, Refused)
        assert error.reason is Reason.UNREADABLE

    def error_after(self, rig: Rig, second: Rule | None) -> Exception:
        """Return what comes of a last use that is denied, and a second list with that fault."""
        last, _ = rig.settled()
        user, world = rig.world()
        seen = observe(user, world.iam, world.store, ())
        rig.aws.weather.add(denied("iam:GetAccessKeyLastUsed", 1))
        if second:
            rig.aws.weather.add(second)
        with pytest.raises((ServiceError, Refused, ObservationChanged)) as caught:
            with_last_use(seen, world.iam, [last.access_key_id])
        return caught.value


def denied(operation: str, nth: int, code: str = "AccessDenied") -> Rule:
    status = 404 if code == "NoSuchEntity" else 403
    message = f"User: arn:aws:iam::123456789012:user/r is not authorized to perform: {operation} on resource: user ci"
    return Rule(operation, nth=nth, effect="error_before", status=status, code=code, message=message)
