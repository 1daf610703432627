"""``waves`` and ``stop_after`` in twokey.yaml: in what order accounts are rotated, and when a run stops."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec import UNSET, UnsetType

from twokey.config import accounts
from twokey.config.hooks import hook
from twokey.config.wave_settings import StopSettings, WaveSettings
from twokey.core import durations
from twokey.core.errors import UsageError

if TYPE_CHECKING:
    from twokey.config.settings import Label
    from twokey.config.wave_schema import StopSchema, WaveSchema
    from twokey.config.yaml_lines import Document, Position

_LIMIT = re.compile(r"(\d{1,3}) ?%")


def waves(sections: list[WaveSchema] | UnsetType, document: Document, *, several: bool) -> tuple[WaveSettings, ...]:
    """Return the waves; raises ``UsageError`` with the line. ``several``: the file has accounts."""
    if sections is UNSET:
        return ()
    found: list[WaveSettings] = []
    for index, section in enumerate(sections):
        position: Position = ("waves", index)
        if (section.accounts is UNSET) == (section.percent is UNSET):
            raise document.error(position, "a wave needs either `accounts` or `percent`.")
        if section.accounts is not UNSET and not several:
            raise document.error(
                position,
                "`accounts` of a wave needs `accounts` at the top level of the file.",
                "Add it, or use `percent`: without accounts, it is about users.",
            )
        percent = 0 if section.percent is UNSET else section.percent
        least = max((one.percent for one in found), default=0)
        if percent and percent <= least:
            raise document.error(
                (*position, "percent"),
                f"`percent`: expected more than {least}, which an earlier wave has.",
                "Percentages include the earlier waves: 10, 50, 100.",
            )
        found.append(_wave(section, percent, _label(document, position), document, position))
    return tuple(found)


def _wave(section: WaveSchema, percent: int, label: Label, document: Document, position: Position) -> WaveSettings:
    at = f"{document.at((*position, 'pause'))}: `pause`"
    return WaveSettings(
        accounts=accounts.choices(section.accounts, label),
        percent=percent,
        pause=timedelta() if section.pause is UNSET else durations.parse(section.pause, at),
        status=section.status,
        check=None if section.check is UNSET else hook(section.check, "check", label),
        at=f"{document.at(position)}: ",
    )


def stop_after(section: StopSchema | UnsetType, document: Document) -> StopSettings | None:
    """Return when a run stops; raises ``UsageError`` with the line."""
    if section is UNSET:
        return None
    if isinstance(section.failed, int):
        return StopSettings(section.failed)
    match = _LIMIT.fullmatch(section.failed)
    if match is None or int(match[1]) > 100:
        at = document.at(("stop_after", "failed"))
        raise UsageError(f'{at}: `failed`: expected a number, or a percentage such as "10 %", got {section.failed!r}.')
    return StopSettings(percent=int(match[1]))


def _label(document: Document, position: Position) -> Label:
    def name(key: str, item: int | None = None) -> str:
        inner = (*position, *key.split("."))
        return f"{document.at(inner if item is None else (*inner, item))}: `{key}`"

    return name
