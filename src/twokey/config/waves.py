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
    from twokey.config.wave_forms import StopForm, WaveForm
    from twokey.config.yaml_lines import Document, Place

_LIMIT = re.compile(r"(\d{1,3}) ?%")


def waves(forms: list[WaveForm] | UnsetType, document: Document, *, several: bool) -> tuple[WaveSettings, ...]:
    """Return the waves; raises ``UsageError`` with the line. ``several``: the file has accounts."""
    if forms is UNSET:
        return ()
    found: list[WaveSettings] = []
    for index, form in enumerate(forms):
        place: Place = ("waves", index)
        if (form.accounts is UNSET) == (form.percent is UNSET):
            raise document.error(place, "a wave needs either `accounts` or `percent`.")
        if form.accounts is not UNSET and not several:
            raise document.error(
                place,
                "`accounts` of a wave needs `accounts` at the top level of the file.",
                "Add it, or use `percent`: without accounts, it is about users.",
            )
        percent = 0 if form.percent is UNSET else form.percent
        least = max((one.percent for one in found), default=0)
        if percent and percent <= least:
            raise document.error(
                (*place, "percent"),
                f"`percent`: expected more than {least}, which an earlier wave has.",
                "Percentages include the earlier waves: 10, 50, 100.",
            )
        found.append(_wave(form, percent, _label(document, place), document, place))
    return tuple(found)


def _wave(form: WaveForm, percent: int, label: Label, document: Document, place: Place) -> WaveSettings:
    at = f"{document.at((*place, 'pause'))}: `pause`"
    return WaveSettings(
        accounts=accounts.choices(form.accounts, label),
        percent=percent,
        pause=timedelta() if form.pause is UNSET else durations.parse(form.pause, at),
        status=form.status,
        check=None if form.check is UNSET else hook(form.check, "check", label),
        at=f"{document.at(place)}: ",
    )


def stop_after(form: StopForm | UnsetType, document: Document) -> StopSettings | None:
    """Return when a run stops; raises ``UsageError`` with the line."""
    if form is UNSET:
        return None
    if isinstance(form.failed, int):
        return StopSettings(form.failed)
    match = _LIMIT.fullmatch(form.failed)
    if match is None or int(match[1]) > 100:
        at = document.at(("stop_after", "failed"))
        raise UsageError(f'{at}: `failed`: expected a number, or a percentage such as "10 %", got {form.failed!r}.')
    return StopSettings(percent=int(match[1]))


def _label(document: Document, place: Place) -> Label:
    def name(key: str, item: int | None = None) -> str:
        inner = (*place, *key.split("."))
        return f"{document.at(inner if item is None else (*inner, item))}: `{key}`"

    return name
