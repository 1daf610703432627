"""What a rehearsal showed. Times are seconds since its beginning, so that the same seed gives the same document."""

from __future__ import annotations

from typing import Literal

import msgspec

End = Literal["deleted", "inactive"]
Weather = Literal["throttling", "lost responses", "errors", "slow propagation", "killed", "store outage"]


class Key(msgspec.Struct, frozen=True):
    """An access key of a user. ``label`` is its letter in the timeline.

    ``current_from`` and ``current_until``: when the store held it; ``ended``: when it stopped working, and how.
    A key of before the beginning has a negative ``created``.
    """

    id: str
    label: str
    created: int
    current_from: int | None
    current_until: int | None
    ended: int | None
    end: End | None


class Run(msgspec.Struct, frozen=True):
    """One run for one user, in which something was done, refused or met by weather."""

    at: int
    outcome: Literal["rotated", "completed", "retired", "not_due", "refused", "failed", "killed"]
    reason: str | None
    message: str
    weather: Weather | None
    repeated: int
    """How many runs after it decided the same."""


class Jobs(msgspec.Struct, frozen=True):
    """The jobs of one length: how many began, over all destinations of the user, and how many failed."""

    job: str
    length: int
    every: int
    started: int
    failed: int


class Failure(msgspec.Struct, frozen=True):
    """Jobs that failed for one cause: those of one length, which had read one key from one destination.

    ``started`` is when the first of them began, ``needed_until`` until when it needed the key, ``failed_at`` when the
    key stopped working.
    """

    job: str
    destination: str
    key: str
    count: int
    started: int
    needed_until: int
    failed_at: int
    message: str
    remedy: str


class Late(msgspec.Struct, frozen=True):
    """A rotation whose run came more than the slack after it was due; ``done`` is None if none came by the end."""

    due: int
    done: int | None
    late_by: int
    message: str
    remedy: str


class Destination(msgspec.Struct, frozen=True):
    """The store, or another destination; ``stand_in``: the emulator does not have it, and a secret stood in for it."""

    url: str
    stand_in: bool


class User(msgspec.Struct, frozen=True):
    """One machine user: its rules in seconds, and what became of it."""

    user: str
    path: str
    window: int
    period: int
    grace: int
    destinations: list[Destination]
    keys: list[Key]
    runs: list[Run]
    jobs: list[Jobs]
    failures: list[Failure]
    late: list[Late]
    rotations: int
    orphans: int
    """Keys that an interrupted run left behind, and that the next one removed."""
    oldest_key: int
    """The age that the oldest key of the rehearsal reached while it worked."""


class Outage(msgspec.Struct, frozen=True):
    """A time without runs."""

    since: int
    until: int


class Rehearsal(msgspec.Struct, frozen=True):
    """What ``twokey rehearse --json`` prints.

    ``runs`` were scheduled, ``missed`` of them fell into the outage. ``weather`` counts what met the runs.
    """

    days: int
    every: int
    seed: int
    faults: bool
    as_found: bool
    outage: Outage | None
    runs: int
    missed: int
    requests: int
    users: list[User]
    rotations: int
    jobs_started: int
    jobs_failed: int
    late: int
    refused: int
    weather: dict[str, int]
    notes: list[str]

    @property
    def well(self) -> bool:
        """Whether no job fails and no rotation is late."""
        return not self.jobs_failed and not self.late


def day(seconds: float) -> str:
    """Return a moment as text names it: by the day, counted from 0, and its time, such as ``day 14 09:30``."""
    days, rest = divmod(int(seconds), 86_400)
    return f"day {days} {rest // 3_600:02}:{rest % 3_600 // 60:02}"
