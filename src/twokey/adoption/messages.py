"""What is said to a person about taking a user over: who is who, what is unknown, the ways on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.core.model import CannotTell, Held

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.core.model import AccessKey, Holding
    from twokey.planning.assessment import Assessment


def telling(assessment: Assessment, current: AccessKey, last: AccessKey | None, source: str, *, put: bool) -> str:
    """Say who is CURRENT and who is LAST, and by which evidence."""
    where = f"taken from {source}" if put else f"which {source} holds"
    said = f"CURRENT is {current.id}, {where}."
    if last is None:
        return said
    holders = [name for name, one in assessment.seen.destinations.items() if one == Held(last.id)]
    why = f"which {', '.join(holders)} holds" if holders else "the older one"
    grace = "" if assessment.journal.current == current.id else "; its grace counts from the takeover"
    return f"{said} LAST is {last.id}, {why}{grace}."


def unknown(assessment: Assessment, current: AccessKey, last: AccessKey | None) -> tuple[str, ...]:
    """Say what nobody can tell although the user is taken over, and what that means."""
    said = [_not_known(assessment, name, one) for name, one in assessment.seen.destinations.items()]
    if last and Held(last.id) not in assessment.seen.destinations.values():
        said.append(f"who uses {last.id}; it stays as long as it is used.")
    if last and assessment.journal.current != current.id:
        said.append(f"since when jobs read {current.id}; the journal says since the takeover.")
    return tuple(filter(None, said))


def _not_known(assessment: Assessment, name: str, holding: Holding) -> str:
    gets = "the next `rotate` delivers CURRENT there."
    match holding:
        case CannotTell(why) if not assessment.journal.delivered.get(name):
            return f"what {name} holds ({why.rstrip('.')}); {gets}"
        case Held(key_id) if assessment.seen.key(key_id) is None:
            return f"whose key {key_id} is, which {name} holds: it is none of this user's; {gets}"
    return ""


def listing(shown: Mapping[str, str]) -> str:
    """Say what each of these places holds."""
    return ", ".join(f"{name} holds {key_id}" for name, key_id in shown.items())


def ways(assessment: Assessment) -> str:
    """Say the two ways on: bring the credential, or have a rotation create one."""
    return (
        "If you have the credential in use, name its place with --from URL, or pipe it in with --stdin. "
        f"Otherwise {replacing(assessment)}"
    )


def replacing(assessment: Assessment) -> str:
    """Say how a rotation gets on without the credential: by a key that it creates."""
    user = assessment.seen.user.name
    if len(assessment.seen.keys) < 2:
        return f"have a key created and stored: twokey rotate {user}."
    return f"name the key that may go, and one is created in its place: twokey rotate {user} --retire KEY_ID."
