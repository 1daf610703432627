"""Results of ``twokey audit`` for the tests of its page: any number of users, in every state, always the same ones."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from twokey.reports import audit as audits
from twokey.reports.audit import Audit, Destination, Event, Finding, Key, Use, User

ACCOUNT = "123456789012"
NOW = datetime(2026, 11, 29, 6, 30, tzinfo=UTC)
DAY = timedelta(days=1)
WINDOW = 30 * DAY
PERIOD = WINDOW / 2
DUE = PERIOD * 23 / 24
PATHS = (
    *("/machine-users/build/", "/machine-users/deploy/", "/machine-users/data/", "/machine-users/mobile/"),
    *("/machine-users/", "/legacy/", "/"),
)
NAMES = ("ci", "deploy", "backup", "metrics", "release", "terraform", "billing", "etl", "signing", "mail")


if TYPE_CHECKING:
    from twokey.permissions.findings import Severity


def key_id(number: int) -> str:
    """Return the ID of a key; the account is encoded in none of them."""
    return f"AKIA{number:016d}".replace("1", "Q").replace("0", "X")


def result(
    users: int = 40,
    *,
    now: datetime = NOW,
    seed: int = 1,
    troubled: float = 0.06,
    length: int = 0,
    account: str = ACCOUNT,
) -> Audit:
    """Return a result with so many users; ``troubled`` of them are not well. ``length`` is that of their names."""
    draw = random.Random(seed)
    found: list[tuple[User, list[Key], list[Finding]]] = []
    for number in range(users):
        name = f"{NAMES[number % len(NAMES)]}-{number:04d}".ljust(length, "x")
        path = PATHS[draw.choices(range(len(PATHS)), (30, 25, 15, 12, 10, 5, 3))[0]]
        managed = path.startswith("/machine-users/")
        trouble = draw.random() < troubled
        make = _managed if managed else _unmanaged
        found.append(make(name, path, number, now, draw, trouble=trouble))
    findings = [finding for _, _, theirs in found for finding in theirs]
    return Audit(
        version=audits.VERSION,
        account=account,
        generated=now,
        report_generated=now - timedelta(hours=2),
        complete=True,
        users=[user for user, _, _ in found],
        keys=[key for _, theirs, _ in found for key in theirs],
        findings=findings,
        summary=audits.summary(findings),
        warnings=[],
        checked=["TK701", "TK702", "TK703", "TK705"],
    )


def key(user: str, path: str, number: int, created: datetime | None, role: audits.Role, now: datetime) -> Key:
    """Return an Active key that was used yesterday."""
    breaks = created + WINDOW if created is not None else None
    return Key(
        account=ACCOUNT,
        user=user,
        path=path,
        key_id=key_id(number),
        status="Active",
        created=created,
        last_used=Use(now - DAY, "s3", "eu-central-1"),
        last_use_known=True,
        role=role,
        window="unknown" if breaks is None else "broken" if breaks < now else "kept",
        breaks_at=breaks,
        held_by=[],
    )


def _managed(
    name: str, path: str, number: int, now: datetime, draw: random.Random, *, trouble: bool
) -> tuple[User, list[Key], list[Finding]]:
    kind = draw.choice(("late", "outdated", "broken", "unknown", "soak")) if trouble else ""
    rotated = now - draw.random() * DUE
    if kind in ("late", "broken"):
        rotated = now - DUE - draw.uniform(2, 6 if kind == "late" else 12) * DAY
    current = key(name, path, 2 * number, rotated, "unknown" if kind == "unknown" else "current", now)
    before = rotated - (DUE if kind != "late" else DUE - 9 * DAY) - draw.random() * DAY / 2
    last = key(name, path, 2 * number + 1, before, "unknown" if kind == "unknown" else "last", now)
    events = [Event(rotated, "rotated", current.key_id, None)]
    if kind == "late":
        refused = [now - number * DAY for number in (2, 1, 0)]
        events += [Event(at, "refused", last.key_id, "LAST was used 3 hours ago, and idle is 1d") for at in refused]
    if kind == "soak":
        last = _replaced(last, status="Inactive")
        events.append(Event(now - DAY, "inactive", last.key_id, None))
    urls = [f"secretsmanager:machine-users/{name}", f"github:acme/{name}", f"gitlab:acme/{name}"]
    destinations = [
        Destination(url, "held", current.key_id, rotated + timedelta(minutes=at))
        for at, url in enumerate(urls[: draw.choice((1, 2, 2, 3))])
    ]
    if kind == "outdated":
        destinations.append(Destination(f"circleci-context:acme/{name}", "out_of_date", last.key_id, before))
    user = User(
        account=ACCOUNT,
        user=name,
        path=path,
        managed=True,
        readable=kind != "unknown",
        console_password=False,
        mfa=False,
        window=int(WINDOW.total_seconds()),
        store=urls[0],
        period=int(PERIOD.total_seconds()),
        grace=int(DUE.total_seconds()),
        soak=int((3 * DAY).total_seconds()) if kind == "soak" else None,
        rotated_at=None if kind == "unknown" else rotated,
        next_due=None if kind == "unknown" else rotated + DUE,
        destinations=destinations,
        events=events,
    )
    held = _replaced(current, held_by=[one.destination for one in destinations if one.outcome == "held"])
    return user, [held, last], list(_findings(user, kind, last))


def _unmanaged(
    name: str, path: str, number: int, now: datetime, draw: random.Random, *, trouble: bool
) -> tuple[User, list[Key], list[Finding]]:
    created = now - draw.random() * WINDOW - (draw.uniform(10, 400) * DAY if trouble else 0 * DAY)
    user = User(
        account=ACCOUNT,
        user=name,
        path=path,
        managed=False,
        readable=True,
        console_password=trouble,
        mfa=False,
        window=int(WINDOW.total_seconds()),
    )
    only = key(name, path, 2 * number, created, "unmanaged", now)
    if draw.random() < 0.3:
        only = _replaced(only, last_used=None, last_use_known=False)
    return user, [only], list(_findings(user, "broken" if trouble else "", only))


def _findings(user: User, kind: str, about: Key) -> list[Finding]:
    rules: dict[str, tuple[str, Severity, str, str, list[str]]] = {
        "broken": (
            "TK701",
            "high",
            "{key} is older than the window of 30d.",
            "Rotate the key: twokey rotate, or twokey adopt where twokey does not manage the user yet.",
            ["CIS-1.14", "iam_rotate_access_key_90_days", "IAM.3"],
        ),
        "late": ("TK702", "medium", "The rotation is overdue.", "Run twokey plan to see why.", []),
        "outdated": (
            "TK703",
            "high",
            "A destination holds {key}, which is LAST.",
            "Deliver CURRENT: twokey deliver.",
            [],
        ),
        "unknown": ("TK704", "medium", "The store cannot be read, so roles are unknown.", "Allow it.", []),
    }
    if kind not in rules:
        return []
    rule, severity, message, remedy, controls = rules[kind]
    return [
        Finding(
            id=rule,
            severity=severity,
            account=user.account,
            user=user.user,
            resource=f"arn:aws:iam::{user.account}:user{user.path}{user.user}",
            message=message.format(key=about.key_id),
            remedy=remedy,
            key_id=about.key_id,
            controls=controls,
        )
    ]


def _replaced(one: Key, **changes: object) -> Key:
    return msgspec.structs.replace(one, **changes)
