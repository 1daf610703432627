"""Proof that a created key works: in every region asked, several times in a row, as the right user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.core.errors import NotVerified, ServiceError, Stopped

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.core.model import MachineUser
    from twokey.core.ports import Clock, Sts
    from twokey.core.secret import Credential
    from twokey.planning.policy import Verification


def verify(
    credential: Credential,
    user: MachineUser,
    rules: Verification,
    sts: Sts,
    clock: Clock,
    still_ours: Callable[[], None] = lambda: None,
    out_of_time: Callable[[], bool] = lambda: False,
) -> None:
    """Ask STS who the credential is until the responses satisfy ``rules``; raises ``NotVerified``.

    ``still_ours`` is called before each round: it keeps the lease, or raises if that is lost. ``out_of_time`` is asked
    before each wait: where this process is about to be ended, ``Stopped`` is raised.

    IAM is eventually consistent: a key that worked once may still be unknown to another server a moment later
    (AWS: "Troubleshoot IAM", changes that are not immediately visible). Therefore several successes in a row.
    """
    deadline = clock.monotonic() + rules.timeout.total_seconds()
    in_a_row, why = 0, ""
    while True:
        still_ours()
        ok, reason = _identify(credential, user, rules.regions, sts)
        in_a_row, why = (in_a_row + 1, why) if ok else (0, reason)
        if in_a_row >= rules.successes:
            return
        goes_on = rules.finishes and ok
        if not goes_on and clock.monotonic() + rules.interval.total_seconds() >= deadline:
            if in_a_row:
                why = f"it worked only {in_a_row} times in a row, and {rules.successes} are required."
            raise NotVerified(
                f"The created key {credential.access_key_id} did not work within "
                f"{rules.timeout.total_seconds():g} s: {why}"
            )
        if out_of_time():
            raise Stopped(
                f"The time of this run was over before the created key {credential.access_key_id} was proved to work."
            )
        clock.sleep(rules.interval.total_seconds())


def _identify(credential: Credential, user: MachineUser, regions: tuple[str, ...], sts: Sts) -> tuple[bool, str]:
    for region in regions or (None,):
        try:
            identity = sts.identity_of(credential, region)
        except ServiceError as error:
            return False, error.message
        if identity is None:
            return False, f"AWS does not know the key yet{f' in {region}' if region else ''}."
        if identity != (user.account, user.arn):
            return False, f"It authenticates as {identity[1]}, not as {user.arn}."
    return True, ""
