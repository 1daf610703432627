"""The keys of ``waves`` and ``stop_after`` in twokey.yaml, and their types."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from twokey.config.account_schema import Choice
from twokey.config.hooks import HookSchema
from twokey.core import durations


def _field(description: str, **more: Any) -> Meta:
    return Meta(description=description, extra_json_schema=more)


class WaveSchema(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of the accounts, or of the users of one account."""

    accounts: Annotated[
        Annotated[list[Choice], Meta(min_length=1)] | UnsetType, _field("These accounts, as in an entry.")
    ] = UNSET
    percent: Annotated[
        Annotated[int, Meta(ge=1, le=100)] | UnsetType,
        _field("So many percent of all accounts, those of earlier waves included; without accounts, of all users."),
    ] = UNSET
    pause: Annotated[
        str | UnsetType,
        _field("How long to wait before the next wave, from the latest commit of this one.", pattern=durations.PATTERN),
    ] = UNSET
    status: Annotated[
        bool, _field("Begin the next wave only if `twokey status` finds nothing wrong with the users of this one.")
    ] = True
    check: Annotated[
        HookSchema | UnsetType, _field("A program of yours; the next wave begins only if it ends with 0.")
    ] = UNSET


class StopSchema(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a run begins no further user."""

    failed: Annotated[
        Annotated[int, Meta(ge=0)] | str,
        _field("More users of a wave than this failed or were refused: a number, or `N %` of its users."),
    ]
