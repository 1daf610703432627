"""The file of a plan that is approved before it is performed: its content, its text, and what proves it unchanged.

The text is compared as a whole: a file is a plan only if twokey would write the same bytes for what it reads. So an
approver sees what counts, by whatever program: no second member of a name, no space and no digit differs.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from twokey.core.decoding import decoder
from twokey.core.errors import Refused
from twokey.core.reasons import Outcome, Reason
from twokey.planning.binding import Status

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_BYTES = 256 << 20
_REMEDY = "Make another plan: twokey plan --out FILE, and give rotate that very file."
_SIGNED = b"twokey plan file, version 1\n"
"""What is signed begins with it, so that a signature of something else is never one of a plan."""
Hash = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was decided for a user, and from what: see ``planning.binding``. ``configuration``: a hash of its rules."""

    configuration: Hash
    user_id: str
    keys: dict[str, Status]
    store: str
    holds: str
    hook: bool
    actions: tuple[str, ...]
    steps: tuple[str, ...]


class PlannedUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One user of the plan. Without a decision, because of an error for example, it is not rotated."""

    account: str
    user: str
    outcome: Outcome
    reason: Reason
    message: str
    decision: Decision | None


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the operator requested beyond what is due."""

    force: bool
    ignore_last_use: bool
    retire: tuple[str, ...]


class PlanFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A plan: when it was made by AWS's clock, by which version of twokey, with what options, for whom."""

    version: Literal[1]
    made: Annotated[datetime, msgspec.Meta(tz=True)]
    twokey: str
    options: Options
    users: tuple[PlannedUser, ...]


class PlanDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The whole file. ``sha256`` is that of the plan without spaces; ``ed25519`` the signature, in base64."""

    plan: PlanFile
    sha256: Hash
    ed25519: str = ""


def text_of(plan: PlanFile, sign: Callable[[bytes], str] | None = None) -> str:
    """Return the text of a plan, signed if ``sign`` returns a signature."""
    body = msgspec.json.encode(plan)
    return _text(PlanDocument(plan, hashlib.sha256(body).hexdigest(), sign(_SIGNED + body) if sign else ""))


def plan_of(data: bytes, name: str, verify: Callable[[bytes, str], bool] | None = None) -> PlanFile:
    """Return the plan in a file; raises ``Refused`` unless it is one that twokey wrote, unchanged and signed.

    ``verify`` says whether a signature is that of the expected key. Without it, a signed plan is refused: the check
    would be missing by mistake.
    """
    document = _read(data, name)
    body = msgspec.json.encode(document.plan)
    if hashlib.sha256(body).hexdigest() != document.sha256:
        raise _refused(f"{name} was changed after twokey wrote it.")
    if verify is None:
        if document.ed25519:
            raise _refused(
                f"{name} is signed, and no key is named to check the signature with.",
                "Name the public key: --signed-by FILE.",
            )
        return document.plan
    if not document.ed25519:
        raise _refused(
            f"{name} is not signed.", "Sign the plan when it is made: twokey plan --out FILE --sign-with KEY."
        )
    if not verify(_SIGNED + body, document.ed25519):
        raise _refused(f"{name} is not signed with the expected key, or it was changed after that.")
    return document.plan


def _read(data: bytes, name: str) -> PlanDocument:
    document: Any = None
    try:
        document = decoder(PlanDocument).decode(data)
        same = _text(document).encode() == data
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError):
        same = False
    if not same:
        raise _refused(
            f"{name} is not a plan as this version of twokey writes it: it was changed, reformatted or cut off, or "
            "another version wrote it."
        )
    found: PlanDocument = document
    return found


def _text(document: PlanDocument) -> str:
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def _refused(message: str, remedy: str = _REMEDY) -> Refused:
    return Refused(Reason.PLAN_INVALID, message, state="Nothing was called or changed.", remedy=remedy)
