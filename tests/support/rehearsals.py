"""A rehearsal as its page shows it, made without playing one."""

from __future__ import annotations

from twokey.reports.rehearsal import (
    Destination,
    Failure,
    Jobs,
    Key,
    Late,
    Outage,
    Rehearsal,
    Run,
    User,
)

HOUR, DAY = 3_600, 86_400


def rehearsal() -> Rehearsal:
    """Return one in which everything happens that a page has to show."""
    users = [troubled("build"), well("site")]
    return Rehearsal(
        days=40,
        every=6 * HOUR,
        seed=3,
        faults=True,
        as_found=False,
        outage=Outage(15 * DAY, 18 * DAY),
        runs=160,
        missed=12,
        requests=900,
        users=users,
        rotations=6,
        jobs_started=1_920,
        jobs_failed=2,
        late=1,
        refused=3,
        weather={"killed": 1, "throttling": 2},
        notes=["A secret on the emulator stood in for github:acme/site."],
    )


def well(name: str) -> User:
    """Return a user with which nothing goes wrong."""
    keys = [
        Key(f"AKIA{name.upper()}A", "A", -20 * DAY, None, None, 15 * DAY, "deleted"),
        Key(f"AKIA{name.upper()}B", "B", 0, 5, 15 * DAY, 29 * DAY, "deleted"),
        Key(f"AKIA{name.upper()}C", "C", 15 * DAY, 15 * DAY, 29 * DAY, None, None),
        Key(f"AKIA{name.upper()}D", "D", 29 * DAY, 29 * DAY, None, None, None),
    ]
    runs = [Run(at, "rotated", "due", "A rotation is due.", None, 0) for at in (0, 15 * DAY, 29 * DAY)]
    return User(
        user=name,
        path="/machine-users/",
        window=30 * DAY,
        period=15 * DAY,
        grace=14 * DAY,
        destinations=[Destination(f"secretsmanager:{name}", stand_in=False)],
        keys=keys,
        runs=runs,
        jobs=[Jobs("6h", 6 * HOUR, HOUR, 960, 0), Jobs("15d", 15 * DAY, HOUR, 960, 0)],
        failures=[],
        late=[],
        rotations=3,
        orphans=0,
        oldest_key=29 * DAY,
    )


def troubled(name: str) -> User:
    """Return a user with a failed job, a late rotation, an orphan, a refusal and a killed run."""
    calm = well(name)
    orphan = Key(f"AKIA{name.upper()}E", "E", 30 * DAY, None, None, 30 * DAY + 6 * HOUR, "deleted")
    runs = [
        *calm.runs,
        Run(29 * DAY + HOUR, "refused", "in_use", "LAST is still in use.", None, 2),
        Run(30 * DAY, "killed", None, "The process was killed.", "killed", 0),
    ]
    failure = Failure(
        job="15d",
        destination=f"secretsmanager:{name}",
        key=calm.keys[1].id,
        count=2,
        started=14 * DAY,
        needed_until=29 * DAY + 9 * HOUR,
        failed_at=29 * DAY,
        message="The first of them started on day 14 00:00.",
        remedy="Set the window to at least 32d.",
    )
    late = Late(14 * DAY, 18 * DAY, 4 * DAY, "No run took place.", "Have a monitor call.")
    return User(
        **{
            **{field: getattr(calm, field) for field in calm.__struct_fields__},
            "keys": [*calm.keys, orphan],
            "runs": runs,
            "jobs": [calm.jobs[0], Jobs("15d", 15 * DAY, HOUR, 960, 2)],
            "failures": [failure],
            "late": [late],
            "orphans": 1,
        }
    )
