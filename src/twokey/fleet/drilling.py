"""One's own configuration for a drill or a rehearsal: the same users and rules, on an emulator. Pure.

Stores and destinations in Secrets Manager and SSM are played as they are: the emulator has both. For any other, a file
or a secret stands in, so that no request leaves the machine. Connections, locks, hooks, alerts and the audit log are
left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from twokey.config.settings import same_name
from twokey.core import durations
from twokey.core.errors import UsageError
from twokey.destinations.address import CONNECTION, take_apart
from twokey.fleet.first import KEY_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from twokey.config.settings import Selection, Settings
    from twokey.planning.policy import RotationPolicy

ON_AWS = ("secretsmanager", "ssm")
"""The kinds that the emulator has."""
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
    found: dict[str, Part] = {}
    for selection in settings.selections:
        invented = _names(selection, found, playing.invented)
        for name in [one for one in users if _may_mean(selection, one)] if users else [*invented]:
            urls = (selection.store, *selection.deliver)
            part = part_of(name, selection.path or "/", urls, selection.policy, playing, len(found))
            found.setdefault(same_name(name), part)
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


def part_of(name: str, path: str, urls: Sequence[str], policy: RotationPolicy, playing: Playing, number: int) -> Part:
    """Return how a user is played whose store is the first of these URLs."""
    played = [_played(url, playing, number, index) for index, url in enumerate(urls)]
    stand_ins = {url: one for url, one in zip(urls, played, strict=True) if not _on_aws(url)}
    entry = {
        "users": [name],
        "store": played[0],
        **_rules(policy, policy.settle if playing.settle is None else playing.settle),
    }
    if played[1:]:
        entry["deliver"] = played[1:]
    return Part(name, path, entry, stand_ins)


def _on_aws(url: str) -> bool:
    return take_apart(url).scheme in ON_AWS


def _played(url: str, playing: Playing, number: int, index: int) -> str:
    if not _on_aws(url):
        return playing.stand_in(number, index)
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
