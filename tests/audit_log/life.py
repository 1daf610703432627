"""The life of a machine user on the strict emulator, with an audit log: everything that can happen to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from support.rig import QUICK, Rig
from twokey.audit_log.log import AuditLog
from twokey.audit_log.trail import Trail
from twokey.emulator import Rule
from twokey.planning.plan import Overrides
from twokey.planning.policy import Verification
from twokey.rotation import rotate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from twokey.emulator import Emulator, KeyPair
    from twokey.rotation.results import Result

SOAK = timedelta(days=2)


class LoggedRig(Rig):
    """A rig whose runs write an audit log; each run has its own file descriptor, as a process has."""

    def __init__(self, aws: Emulator, file: Path) -> None:
        super().__init__(aws)
        self.file = file

    def rotate(self, user: str = "ci", run: str = "run", *, wait: bool = True, **overrides: Any) -> Result:
        """Run a rotation with an audit log."""
        log = AuditLog.open(self.file)
        try:
            machine_user, world = self.world(user, run, wait=wait)
            wishes = Overrides(**overrides)
            trail = Trail(log, run, world.clock)
            result = rotate.rotate(
                machine_user, self.policy, trail.watch(machine_user, self.policy, wishes, world), wishes
            )
            trail.ended(result)
            return result
        finally:
            log.abandon()


@dataclass(frozen=True)
class Life:
    """What a life left."""

    ended: dict[str, str]
    """What each run ended as, by its name."""
    log: Path
    stored: KeyPair | None
    """The credential that the store holds at its end."""


def live(rig: LoggedRig) -> dict[str, str]:
    """Live it; return what each run ended as, by its name."""
    rig.aws.make_user("ci", keys=0)
    rig.deliver = ("ssm:/machine-users/{user}",)
    ended: dict[str, str] = {}

    def go(run: str, days: float = 15, **overrides: Any) -> None:
        rig.later(days=days)
        result = rig.rotate(run=run, **overrides)
        ended[run] = f"{result.outcome} ({result.reason})"

    go("first")
    go("again-at-once", days=0)
    go("second")
    go("third")
    _killed(rig, "killed-after-create", "create", "done")
    go("repair-orphan", days=0)
    _killed(rig, "killed-after-store", "store", "done")
    go("repair-stored", days=0)
    rule = rig.aws.weather.add(
        Rule("ssm:PutParameter", nth=2, times=None, effect="error_before", status=400, code="AccessDeniedException")
    )
    go("not-delivered")
    rig.aws.weather.remove(rule)
    go("delivered-later", days=0)
    rig.policy = replace(rig.policy, verification=Verification(1, timedelta(0), timedelta(seconds=0.1)))
    unknown = rig.aws.weather.add(
        Rule("sts:GetCallerIdentity", times=None, effect="error_before", status=403, code="InvalidClientTokenId")
    )
    go("not-verified")
    rig.aws.weather.remove(unknown)
    rig.policy = replace(rig.policy, verification=QUICK)
    go("after-not-verified", days=0)
    rig.policy = replace(rig.policy, soak=SOAK)
    go("soak-begins", days=15)  # the grace that was promised before there was a soak is kept
    go("soaked", days=3)
    rig.policy = replace(rig.policy, soak=timedelta(0))
    go("in-a-hurry", days=1, force=True, ignore_last_use=True)
    last = rig.ids()[0]
    rig.aws.client("iam").delete_access_key(UserName="ci", AccessKeyId=last)
    existing_key = rig.aws.client("iam").create_access_key(UserName="ci")["AccessKey"]["AccessKeyId"]
    go("refused")
    go("retired", days=0, retire=frozenset({existing_key}))
    go("last")
    return ended


def _killed(rig: LoggedRig, run: str, step: str, phase: str) -> None:
    rig.later(days=15)
    assert rig.killed_at(step, phase, run=run)


def shifted(records: list[Any], by: timedelta, which: Callable[[Any], bool]) -> list[Any]:
    """Return the records, with the time of the selected ones moved."""
    import msgspec

    return [msgspec.structs.replace(one, at=one.at + by) if which(one) else one for one in records]
