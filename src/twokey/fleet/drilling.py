"""One's own configuration for a drill: the same users and rules, on an emulator and in files. Pure.

Stores and destinations in Secrets Manager and SSM are played as they are: the emulator has both. For any other, a file
stands in, so that no request leaves the machine. Connections, locks, hooks, alerts and the audit log are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twokey.config.settings import same_name
from twokey.core import durations
from twokey.core.errors import UsageError
from twokey.destinations.address import CONNECTION, take_apart
from twokey.fleet.first import KEY_ID

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from twokey.config.settings import Selection, Settings
    from twokey.planning.policy import RotationPolicy

ON_AWS = ("secretsmanager", "ssm")
"""The kinds that the emulator has."""
INVENTED = 2
"""How many users are invented for an entry that names none: who is below its path is known to IAM only."""


@dataclass(frozen=True, slots=True)
class Part:
    """A user of the drill. ``stand_ins``: for each URL of the configuration, the file that stands in for it."""

    user: str
    path: str
    entry: dict[str, Any]
    stand_ins: dict[str, str]


def parts(settings: Settings, users: Sequence[str], folder: Path) -> list[Part]:
    """Return the users of a drill: the named ones, or those of the configuration, some of them invented.

    Raises ``UsageError`` for a user that the configuration does not cover.
    """
    for one in users:
        if KEY_ID.fullmatch(one):
            raise UsageError(
                f"A drill cannot look up the user of {one}: that would call AWS.", remedy="Name the user, or none."
            )
    found: dict[str, Part] = {}
    for selection in settings.selections:
        names = [one for one in users if _may_mean(selection, one)] if users else [*_names(selection, found)]
        for name in names:
            found.setdefault(same_name(name), _part(selection, name, folder, len(found)))
    missing = [one for one in users if same_name(one) not in found]
    if missing:
        raise UsageError(
            f"No entry of the configuration covers the user {missing[0]}.",
            remedy="Name a machine user of the configuration, or none.",
        )
    return list(found.values())


def configuration(found: Sequence[Part]) -> dict[str, Any]:
    """Return the configuration of the drill, to be written as JSON, which YAML includes."""
    return {"version": 1, "max_users": max(100, len(found)), "machine_users": [part.entry for part in found]}


def _may_mean(selection: Selection, name: str) -> bool:
    if selection.users and same_name(name) not in map(same_name, selection.users):
        return False
    return not selection.leaves_out(name)


def _names(selection: Selection, found: dict[str, Part]) -> Iterator[str]:
    if selection.users:
        yield from selection.users
        return
    number, invented = 0, 0
    while invented < INVENTED:
        number += 1
        name = f"drill-{number}"
        if name not in found and not selection.leaves_out(name):
            invented += 1
            yield name


def _part(selection: Selection, name: str, folder: Path, number: int) -> Part:
    urls = [selection.store, *selection.deliver]
    played = [_played(url, folder / f"{number}-{index}.json") for index, url in enumerate(urls)]
    stand_ins = {url: one for url, one in zip(urls, played, strict=True) if one.startswith("file:")}
    entry = {"users": [name], "store": played[0], **_rules(selection.policy)}
    if played[1:]:
        entry["deliver"] = played[1:]
    return Part(name, selection.path or "/", entry, stand_ins)


def _played(url: str, file: Path) -> str:
    address = take_apart(url)
    return address.without([CONNECTION]) if address.scheme in ON_AWS else f"file:{file}"


def _rules(policy: RotationPolicy) -> dict[str, Any]:
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
        # The key that the drill revokes was created a moment ago, which no leaked key was.
        "settle": "0s",
        "verify": verify,
        **{name: durations.exact(value) for name, value in optional.items() if value is not None},
    }
