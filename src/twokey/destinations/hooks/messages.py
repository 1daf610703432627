"""What twokey sends to your own program or receiver, and what that may respond.

The message is a JSON object: ``version``, ``action`` (``deliver``, ``held`` or ``preflight``), ``destination`` (the
URL), and to deliver ``key_id`` and ``credential``, which is the stored value: ``AccessKeyId`` and ``SecretAccessKey``.

The response is a JSON object, or nothing. ``key_id`` is the key that is there now, null if there is none; ``stamp`` is
any text that changes with every write; ``written: false`` means that a delivery was not needed. Members with other
names are ignored.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import UNSET, UnsetType

from twokey.core.decoding import decoder
from twokey.core.destination import Receipt, Traits
from twokey.core.errors import Ambiguous, ServiceError
from twokey.core.model import CannotTell, Held, Holding, NotHeld
from twokey.destinations.hooks.redaction import gives_away

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twokey.core.secret import Credential, Hidden
    from twokey.destinations.address import Address

VERSION = 1
Action = Literal["deliver", "held", "preflight"]
LONGEST_STAMP = 200
PART_OF_A_STAMP = 12
"""As ``redaction.PART``: a time has as many digits in a row as a short part of a secret's code."""
_KEY_ID = re.compile(r"[A-Z0-9]{16,128}", re.ASCII)
_STAMP = re.compile(rf"[ -~]{{0,{LONGEST_STAMP}}}", re.ASCII)


class HookResponse(msgspec.Struct, frozen=True):
    """The response. It does not show itself: the program or receiver may have put a secret in it."""

    key_id: str | UnsetType | None = UNSET
    stamp: str = ""
    written: bool = True

    def __repr__(self) -> str:
        return "(a response)"


def message(action: Action, destination: str, credential: Credential | None = None) -> memoryview:
    """Return the message as JSON in UTF-8. It holds the secret where there is a credential."""
    content: dict[str, object] = {"version": VERSION, "action": action, "destination": destination}
    if credential is not None:
        pair = {"AccessKeyId": credential.access_key_id, "SecretAccessKey": credential.reveal()}
        content |= {"key_id": credential.access_key_id, "credential": pair}
    return memoryview(json.dumps(content, separators=(",", ":")).encode())


def response_in(text: Hidden | None) -> HookResponse | None:
    """Read a response; no text is an empty one. None for an invalid response."""
    if text is None:
        return None
    try:
        found = decoder(HookResponse).decode(text.encode()) if text.strip() else HookResponse()
    except (msgspec.DecodeError, UnicodeError):
        return None
    # An empty id is the result of a failed lookup, not the absence of a key: that is null.
    known = not isinstance(found.key_id, str) or _KEY_ID.fullmatch(found.key_id)
    return found if known and _STAMP.fullmatch(found.stamp) else None


def actions_of(address: Address, known: tuple[Action, ...]) -> tuple[str, ...]:
    """Return the option ``actions=``: what the hook supports besides ``deliver``. Raises ``UsageError``."""
    named = tuple(filter(None, address.options.get("actions", "").split(",")))
    for name in named:
        if name not in known:
            raise address.error(f"actions= names {name!r}; expected {' or '.join(known)}.")
    return named


class Hook(ABC):
    """A destination that runs on the operator's own code: it gets a message, and its response is believed.

    twokey cannot know whether a pair is ever torn there, so it assumes that it can be.
    """

    def __init__(self, name: str, actions: Iterable[str]) -> None:
        """Prepare; nothing is called. Of the actions besides ``deliver`` only these are requested."""
        self.name = name
        self.actions = tuple(actions)
        self.traits = Traits(atomic=False, conditional=False, confirms="value" if self._knows_held else "nothing")

    @property
    def _knows_held(self) -> bool:
        return "held" in self.actions

    @abstractmethod
    def _request(self, action: Action, credential: Credential | None = None) -> HookResponse:
        """Send the hook a message and return its response; raises a ``ServiceError``."""

    @property
    @abstractmethod
    def _label(self) -> str:
        """The name of the hook in errors."""

    def held(self) -> Holding:
        """Ask which key is there, if the hook supports ``held``."""
        if not self._knows_held:
            return CannotTell(f"{self._label} is not asked which key it holds: actions=held is not set.")
        response = self._request("held")
        if response.key_id is UNSET:
            return CannotTell(f"{self._label} does not report which key it holds.", stamp=response.stamp)
        return Held(response.key_id) if response.key_id else NotHeld()

    def deliver(self, credential: Credential) -> Receipt:
        """Supply the credential. If the response has no stamp, ask which key is there now."""
        response = self._request("deliver", credential)
        if response.key_id not in (UNSET, credential.access_key_id):
            raise self._in_doubt(f"reports that {response.key_id or 'no key'} is there now")
        # Without ``held`` no stamp is ever seen again, and one that is not seen would look like another.
        stamp = (response.stamp or self._shown_after(credential)) if self._knows_held else ""
        if gives_away(stamp, [credential.reveal()], part=PART_OF_A_STAMP):
            raise self._in_doubt("responded with a stamp that could be the secret, which no journal may hold")
        return Receipt(credential.access_key_id, written=response.written, stamp=stamp)

    def _shown_after(self, credential: Credential) -> str:
        try:
            holding = self.held()
        except ServiceError as error:
            raise self._in_doubt(f"could not be asked afterwards which key is there: {error.message}") from None
        if isinstance(holding, CannotTell):
            return holding.stamp
        if holding != Held(credential.access_key_id):
            raise self._in_doubt(f"reports that {getattr(holding, 'key_id', 'no key')} is there now")
        return ""

    def _in_doubt(self, what: str) -> Ambiguous:
        return Ambiguous(
            f"{self._label} received the credential, and {what}.",
            state="It may have taken effect.",
            remedy="Run again: it is delivered again.",
        )
