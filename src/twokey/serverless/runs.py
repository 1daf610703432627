"""What the functions share with each other when they run the code of ``twokey.fleet``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from twokey.config.settings import same_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twokey.config.settings import Selection, Settings
    from twokey.fleet.roster import Roster
    from twokey.fleet.runtime import Runtime


def chosen(settings: Settings, accounts: Sequence[str]) -> Settings:
    """Return the settings for these accounts alone, by ID or name; for all of them without any."""
    if not accounts:
        return settings
    from twokey.config.account_settings import selected_by

    return replace(settings, accounts=selected_by(settings.accounts, tuple(accounts), None, settings.source))


def roster_of(runtime: Runtime, settings: Settings, names: Sequence[str]) -> Roster:
    """Find the users of the configuration; with ``names``, only those of them: below a path by ListUsers all the same.

    To read each of them by its name takes a request for each, and a permission that no rotation of a path needs.
    """
    if not names:
        return runtime.roster(settings, ())
    wanted = set(map(same_name, names))
    selected: list[Selection] = []
    for selection in settings.selections:
        users = tuple(name for name in selection.users if same_name(name) in wanted)
        if users or not selection.users:
            selected.append(replace(selection, users=users))
    found = runtime.roster(replace(settings, selections=tuple(selected)), ())
    return replace(found, jobs=tuple(job for job in found.jobs if same_name(job.user.name) in wanted))
