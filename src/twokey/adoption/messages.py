"""What a takeover reports: which key has which role, what is unknown, and what the operator can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.core.commands import rotate_command
from twokey.core.model import CannotTell, Held

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.core.model import AccessKey, Holding
    from twokey.planning.assessment import Assessment


def roles_message(assessment: Assessment, current: AccessKey, last: AccessKey | None, source: str, *, put: bool) -> str:
    """Say which key is CURRENT and which is LAST, and by which evidence."""
    evidence = f"taken from {source}" if put else f"which {source} holds"
    message = f"CURRENT is {current.id}, {evidence}."
    if last is None:
        return message
    holders = [name for name, holding in assessment.observation.destinations.items() if holding == Held(last.id)]
    why = f"which {', '.join(holders)} holds" if holders else "the older one"
    grace = "" if assessment.journal.current == current.id else "; its grace counts from the takeover"
    return f"{message} LAST is {last.id}, {why}{grace}."


def unknown(assessment: Assessment, current: AccessKey, last: AccessKey | None) -> tuple[str, ...]:
    """List what cannot be determined although the user is taken over, and what that means."""
    destinations = assessment.observation.destinations
    messages = [_not_known(assessment, name, holding) for name, holding in destinations.items()]
    if last and Held(last.id) not in destinations.values():
        messages.append(f"which jobs use {last.id}; it stays as long as it is used.")
    if last and assessment.journal.current != current.id:
        messages.append(f"since when jobs read {current.id}; the journal counts from the takeover.")
    return tuple(filter(None, messages))


def _not_known(assessment: Assessment, name: str, holding: Holding) -> str:
    next_step = "the next `rotate` delivers CURRENT there."
    match holding:
        case CannotTell(failed=True) if not assessment.journal.delivered.get(name):
            return f"what {name} holds, which could not be read; {next_step}"
        case CannotTell(why) if not assessment.journal.delivered.get(name):
            return f"what {name} holds ({why.rstrip('.')}); {next_step}"
        case Held(key_id) if assessment.observation.key(key_id) is None:
            return f"whose key {key_id} is, which {name} holds and IAM does not list for this user; {next_step}"
    return ""


def holdings_message(held: Mapping[str, str]) -> str:
    """Say what each of these destinations holds."""
    return ", ".join(f"{name} holds {key_id}" for name, key_id in held.items())


def remedies(assessment: Assessment) -> str:
    """Say the two ways to continue: supply the credential, or let a rotation create one."""
    return (
        "If you have the credential in use, name where it is with --from URL, or pipe it in with --stdin. "
        f"Otherwise, {remedy_without_credential(assessment)}"
    )


def remedy_without_credential(assessment: Assessment) -> str:
    """Say how to continue without the credential: a rotation creates a key."""
    user = assessment.observation.user.name
    if len(assessment.observation.keys) < 2:
        return f"let twokey create and store a key: {rotate_command(user)}."
    return (
        "name the key that may be removed, and twokey creates one in its place: "
        f"{rotate_command(user, '--retire KEY_ID')}."
    )
