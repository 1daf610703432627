"""The values of the emulator's Python API."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from twokey.core.errors import Failed

if TYPE_CHECKING:
    from datetime import datetime


class EmulatorError(Failed):
    """The emulator cannot do what was requested; the message says what to do."""


@dataclass(frozen=True)
class KeyPair:
    """An access key of the emulator; its `repr` does not show the secret."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Request:
    """What the emulator records of one request: never a body, never a secret.

    `time` is the emulator's; `target` is the user, secret, parameter or role that the request names;
    `status` is 0 where the connection was cut before the request had any effect;
    `effect` names the effects of the rules that applied to the request, or `throttle`; empty for none.
    """

    number: int
    time: datetime
    service: str
    operation: str
    access_key_id: str | None
    account: str | None
    target: str | None
    status: int
    error_code: str | None
    user_agent: str
    effect: str

    @property
    def name(self) -> str:
        """Service and operation as policies write them: `iam:CreateAccessKey`."""
        return f"{self.service}:{self.operation}"
