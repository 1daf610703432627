"""A key that was used from the same unusual address as the leaked one is named once the leaked one is replaced."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.commands import Ran, twokey
from support.store_faults import denied
from twokey.aws.clock import ServiceClock
from twokey.aws.cloudtrail import TrailEvent
from twokey.core.model import AccessKey
from twokey.emulator import Rule
from twokey.fleet import siblings as fleet_siblings
from twokey.revocation.siblings import siblings, unknown, warnings

if TYPE_CHECKING:
    from pathlib import Path

    from support.rig import Rig
    from twokey.emulator import KeyPair

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
OFFICE, INTRUDER = "203.0.113.5", "198.51.100.7"
LEAKED, OTHER = "AKIALEAKED", "AKIAOTHER"
SELECTED = ("--store", "secretsmanager:machine-users/{user}")


def used(*uses: tuple[str, float]) -> list[TrailEvent]:
    """Return the events of uses: from where, and how many hours ago."""
    return [
        TrailEvent(str(ago), NOW - ago * HOUR, "sts", "GetCallerIdentity", "eu-central-1", address, "job/1", LEAKED)
        for address, ago in uses
    ]


@pytest.mark.parametrize(
    ("leaked", "other", "named"),
    [
        ([(INTRUDER, 3), (OFFICE, 50)], [(INTRUDER, 2), (OFFICE, 60)], "198.51.100.7, from where the leaked key was"),
        ([(INTRUDER, 3), (INTRUDER, 9), (OFFICE, 50)], [(INTRUDER, 200)], "first used 9h ago"),
        ([(OFFICE, 3), (OFFICE, 50)], [(OFFICE, 2)], ""),
        ([(INTRUDER, 3), (OFFICE, 50)], [(OFFICE, 2)], ""),
        ([(INTRUDER, 3), (INTRUDER, 26), (OFFICE, 50)], [(INTRUDER, 2)], ""),
        ([(OFFICE, 3)], [(OFFICE, 2)], "Whether that is usual is not known"),
        ([], [(OFFICE, 2)], ""),
        ([(INTRUDER, 3)], [], ""),
        ([("s3.amazonaws.com", 3), (OFFICE, 50)], [("s3.amazonaws.com", 2)], ""),
    ],
)
def test_only_an_address_that_is_new_for_the_leaked_key_says_something_of_another_one(
    leaked: list[tuple[str, float]], other: list[tuple[str, float]], named: str
) -> None:
    text = " ".join(warnings(used(*leaked), OTHER, used(*other), NOW - HOUR, NOW))
    assert named in text
    assert bool(text) == bool(named)
    assert f"twokey revoke {OTHER}" in text or not named


def test_many_addresses_are_counted() -> None:
    uses = [(f"198.51.100.{number}", 3) for number in range(5)]
    [text] = warnings(used(*uses, (OFFICE, 50)), OTHER, used(*uses), NOW, NOW)
    assert "198.51.100.2 and 2 more addresses, from where" in text


def test_only_an_active_key_from_before_the_containment_is_another_key() -> None:
    keys = [
        AccessKey(LEAKED, active=True, created=NOW - 9 * HOUR),
        AccessKey("AKIAINACTIVE", active=False, created=NOW - 9 * HOUR),
        AccessKey("AKIACREATED", active=True, created=NOW - timedelta(seconds=1)),
        AccessKey(OTHER, active=True, created=NOW - HOUR),
    ]
    assert siblings(keys, [LEAKED], NOW) == [OTHER]


def test_where_the_other_keys_are_unknown_the_way_on_is_named() -> None:
    assert "another key of the user" in unknown([], "IAM denies it.")
    assert "twokey trace KEY_ID" in unknown([], "IAM denies it.")


def use(rig: Rig, key: KeyPair, address: str) -> None:
    """Use a key as a program does that runs at an address."""
    client: Any = rig.aws.client("sts", key=key)
    client.meta.events.register(
        "before-send", lambda request, **_: request.headers.update({"x-emulator-source-ip": address})
    )
    client.get_caller_identity()


@pytest.fixture
def keys(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> tuple[KeyPair, KeyPair]:
    """Return LAST and CURRENT of a user, which its jobs used from the office two days ago."""
    monkeypatch.setattr(ServiceClock.__init__, "__defaults__", rig.time())
    last, current = rig.settled()
    for key in (last, current):
        use(rig, key, OFFICE)
    rig.later(days=2)
    return last, current


def revoke(*arguments: str) -> Ran:
    return twokey("revoke", *arguments, *SELECTED, "--delete", "--yes", "--json")


def warned(ran: Ran) -> list[str]:
    [found] = ran.document["results"]
    assert (ran.code, found["outcome"]) == (0, "revoked"), found["message"]
    return [text for text in found["warnings"] if "used from" in text]


def leak(rig: Rig, *keys: KeyPair) -> None:
    """Use keys as an intruder does, three hours before it is noticed."""
    for key in keys:
        use(rig, key, INTRUDER)
    rig.later(hours=3)


def test_the_other_key_is_named_where_it_was_used_from_the_same_unusual_address(
    rig: Rig, keys: tuple[KeyPair, KeyPair], tmp_path: Path
) -> None:
    last, current = keys
    leak(rig, last, current)
    rig.aws.clear_requests()
    [text] = warned(revoke(current.access_key_id, "--evidence", str(tmp_path)))
    assert text == (
        f"{last.access_key_id} was also used from {INTRUDER}, from where the leaked key was first used 3h ago: it has "
        f"probably leaked, too. Revoke it: twokey revoke {last.access_key_id}."
    )
    [evidence] = [json.loads(path.read_text()) for path in tmp_path.glob("*.json")]
    assert text in [one["what"] for one in evidence["left"]]
    names = [request.name for request in rig.aws.requests]
    lookups = [index for index, name in enumerate(names) if name == "cloudtrail:LookupEvents"]
    changes = [index for index, name in enumerate(names) if "Put" in name or "Delete" in name or "Create" in name]
    assert min(lookups) > max(changes), "nothing may delay what the users wait for"
    assert len(lookups) == 4, "one page for each key, in the region in use and in that of IAM"


def test_an_address_that_the_leaked_key_was_always_used_from_says_nothing(
    rig: Rig, keys: tuple[KeyPair, KeyPair]
) -> None:
    last, current = keys
    leak(rig, current)
    use(rig, last, OFFICE)
    use(rig, current, OFFICE)
    assert warned(revoke(current.access_key_id)) == []
    rig.aws.clear_requests()
    assert warned(revoke("ci", "--both")) == []
    assert "cloudtrail:LookupEvents" not in [request.name for request in rig.aws.requests]


def test_where_cloudtrail_is_denied_that_is_said_and_changes_nothing_else(
    rig: Rig, keys: tuple[KeyPair, KeyPair]
) -> None:
    last, current = keys
    leak(rig, last, current)
    rig.aws.weather.add(replace(denied("cloudtrail:LookupEvents"), times=None))
    [text] = warned(revoke(current.access_key_id))
    assert text.startswith(
        f"Whether {last.access_key_id} was used from the same addresses as the leaked key is unknown"
    )
    assert "cloudtrail:LookupEvents" in text
    assert text.endswith(f"Look: twokey trace {last.access_key_id}.")


def test_of_many_users_only_the_first_are_looked_at(
    rig: Rig, keys: tuple[KeyPair, KeyPair], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_siblings, "MOST", 0)
    [text] = warned(revoke(keys[1].access_key_id))
    assert text.startswith("Only the first 0 users were looked at")


def test_an_interruption_of_the_look_leaves_the_result(rig: Rig, keys: tuple[KeyPair, KeyPair]) -> None:
    last, current = keys
    leak(rig, last, current)
    lookups = "cloudtrail:LookupEvents"
    rig.aws.weather.add(Rule(lookups, effect="error_before", status=400, code="ThrottlingException", times=None))

    def interrupt() -> None:
        if rig.aws.requests[-1].name == lookups:
            raise KeyboardInterrupt

    rig.before_pause = interrupt
    [text] = warned(revoke(current.access_key_id))
    assert "is unknown: twokey was interrupted while it looked." in text
