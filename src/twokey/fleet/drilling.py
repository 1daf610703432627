"""One's own configuration for a drill or a rehearsal: the same users and rules, on an emulator. Pure.

Stores and destinations in Secrets Manager and SSM are played as they are: the emulator has both. For any other, a file
or a secret stands in, so that no request leaves the machine. Connections, locks, hooks, alerts and the audit log are
left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from twokey.config.settings import same_name, user_name
from twokey.core import durations
from twokey.core.accounts import AccountChoice
from twokey.core.errors import UsageError
from twokey.destinations.address import CONNECTION, names_user, take_apart
from twokey.fleet.first import KEY_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from twokey.config.settings import Selection, Settings
    from twokey.planning.policy import RotationPolicy

ON_AWS = ("secretsmanager", "ssm")
"""The kinds that the emulator has."""
_LONGEST_NAME = 64
INVENTED = 2
"""How many users are invented for an entry that names none: who is below its path is known to IAM only."""


@dataclass(frozen=True, slots=True)
class Playing:
    """What differs between a drill and a rehearsal.

    ``stand_in`` returns what stands in for a URL that the emulator does not have: for the number of the user, and of
    the destination. ``what`` names it all in messages; invented users are called after ``invented``. ``settle``
    replaces the rule of that name.
    """

    what: str
    invented: str
    stand_in: Callable[[int, int], str]
    settle: timedelta | None = None


def in_files(folder: Path) -> Playing:
    """Return how a drill is played: with files as stand-ins.

    The key that it revokes was created a moment ago, which no leaked key was, so a run has no need to wait for that.
    """
    return Playing("A drill", "drill", lambda user, index: f"file:{folder / f'{user}-{index}.json'}", timedelta(0))


@dataclass(frozen=True, slots=True)
class Part:
    """A user that is played. ``stand_ins``: for each URL of the configuration, what stands in for it."""

    user: str
    path: str
    entry: dict[str, Any]
    stand_ins: dict[str, str]
    urls: tuple[str, ...] = ()
    """Those that are played, the store first; their fields are not filled in."""


def parts(settings: Settings, users: Sequence[str], playing: Playing) -> list[Part]:
    """Return the users to play: the named ones, or those of the configuration, some of them invented.

    Raises ``UsageError`` for a user that the configuration does not cover.
    """
    for one in users:
        if KEY_ID.fullmatch(one):
            raise UsageError(
                f"{playing.what} cannot look up the user of {one}: that would call AWS.",
                remedy="Name the user, or none.",
            )
        user_name(one)
    found: dict[str, Part] = {}
    accounts: dict[str, list[tuple[AccountChoice, ...]]] = {}
    for selection in settings.selections:
        invented = _names(selection, found, playing.invented)
        for name in [one for one in users if _may_mean(selection, one)] if users else [*invented]:
            of_name = accounts.setdefault(same_name(name), [])
            if not of_name or (selection.users and selection.accounts not in of_name):
                of_name.append(selection.accounts)
                played = _another_name(name, selection, found) if same_name(name) in found else name
                urls = (selection.store, *selection.deliver)
                used = {url for part in found.values() for url in part.urls}
                part = part_of(played, selection.path or "/", urls, selection.policy, playing, len(found), used)
                found[same_name(played)] = part
    missing = [one for one in users if same_name(one) not in found]
    if missing:
        raise UsageError(
            f"No entry of the configuration covers the user {missing[0]}.",
            remedy="Name a machine user of the configuration, or none.",
        )
    return list(found.values())


def configuration(found: Sequence[Part]) -> dict[str, Any]:
    """Return the configuration that is played, to be written as JSON, which YAML includes."""
    return {"version": 1, "max_users": max(100, len(found)), "machine_users": [part.entry for part in found]}


def _may_mean(selection: Selection, name: str) -> bool:
    if selection.users and same_name(name) not in map(same_name, selection.users):
        return False
    return not selection.leaves_out(name)


def _names(selection: Selection, found: dict[str, Part], after: str) -> Iterator[str]:
    if selection.users:
        yield from selection.users
        return
    number, invented = 0, 0
    while invented < INVENTED:
        number += 1
        name = f"{after}-{number}"
        if name not in found and not selection.leaves_out(name):
            invented += 1
            yield name


def _another_name(name: str, selection: Selection, found: Mapping[str, Part]) -> str:
    """Return what a user is called whose name another account has, too: all of them are played in one account.

    IAM, and every store that the emulator has, allows a dot.
    """
    choice = selection.accounts[0] if selection.accounts else AccountChoice()
    account = re.sub(r"[^\w-]+", "-", choice.id or choice.name or choice.ou, flags=re.ASCII).strip("-")
    full = f"{name}.{account or 'other'}"
    endings = ("", *(f"-{number}" for number in range(2, len(found) + 3)))
    wanted = (f"{full[: _LONGEST_NAME - len(ending)]}{ending}" for ending in endings)
    return next(one for one in wanted if same_name(one) not in found)


def part_of(
    name: str,
    path: str,
    urls: Sequence[str],
    policy: RotationPolicy,
    playing: Playing,
    number: int,
    used: Collection[str] = (),
) -> Part:
    """Return how a user is played whose store is the first of these URLs.

    ``used`` are those of the users before: one URL in two accounts means two things, and one in the emulator's account.
    """
    stand_ins: dict[str, str] = {}
    played: list[str] = []
    for index, url in enumerate(urls):
        one = _played(url) if _on_aws(url) else ""
        if not one or (one in used and not names_user(one)):
            one = stand_ins[url] = playing.stand_in(number, index)
        played.append(one)
    entry = {
        "users": [name],
        "store": played[0],
        **_rules(policy, policy.settle if playing.settle is None else playing.settle),
    }
    if played[1:]:
        entry["deliver"] = played[1:]
    return Part(name, path, entry, stand_ins, tuple(played))


def _on_aws(url: str) -> bool:
    return take_apart(url).scheme in ON_AWS


def _played(url: str) -> str:
    # The emulator's one account has no name.
    return take_apart(url).without([CONNECTION]).replace("{account_name}", "emulator")


def _rules(policy: RotationPolicy, settle: timedelta | None) -> dict[str, Any]:
    proof = policy.verification
    verify = {
        "successes": proof.successes,
        "interval": durations.exact(proof.interval),
        "timeout": durations.exact(proof.timeout),
        **({"regions": list(proof.regions)} if proof.regions else {}),
    }
    optional = {"grace": policy.requested_grace, "idle": policy.requested_idle}
    return {
        "window": durations.exact(policy.window),
        "soak": durations.exact(policy.soak),
        "enforce_window": policy.enforce_window,
        "settle": durations.exact(policy.settle if settle is None else settle),
        "verify": verify,
        **{name: durations.exact(value) for name, value in optional.items() if value is not None},
    }
