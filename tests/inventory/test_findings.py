"""Each finding is made of what it is about, and of nothing else; unknown is never taken for bad, nor for good."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from inventory.cases import DAY, LIMITS, NEW, NOW, OLD, THIRD, found, managed, rotated, user
from twokey.core.journal import Delivery, Intent, Revoked
from twokey.core.model import Held, NotHeld
from twokey.inventory import findings
from twokey.inventory.credential_report import ROOT
from twokey.inventory.decision import FoundKey, FoundUser
from twokey.inventory.findings import RULES

CURRENT, LAST = found(NEW, 5.001, 0.1), found(OLD, 20, 4)
ROOT_ARN = "arn:aws:iam::123456789012:root"
SITE = "github:acme/site"


def ids(one: FoundUser) -> set[str]:
    return {finding.id for finding in findings.findings([one], LIMITS)}


def controls(one: FoundUser, rule: str) -> list[str]:
    [chosen] = [finding for finding in findings.findings([one], LIMITS) if finding.id == rule]
    return chosen.controls


def root(*keys: Any, mfa: bool | None = True) -> FoundUser:
    return user(*keys, user=ROOT, arn=ROOT_ARN, password=None, mfa=mfa)


def delivered(key_id: str) -> dict[str, Delivery]:
    return {SITE: Delivery(key_id, NOW - 5 * DAY)}


PLANTED = {
    "a managed user's password": ("TK301", user(CURRENT, LAST, of=managed(rotated()), password=True, mfa=True)),
    "an old key": ("TK701", user(found(None, 91, 1))),
    "an old key of a managed user": (
        "TK701",
        user(CURRENT, found(OLD, 31, 4), of=managed(rotated(4, last=OLD))),
    ),
    "a key that is old soon": ("TK702", user(found(None, 84, 1))),
    "a key that no rotation removes in time": (
        "TK702",
        user(found(NEW, 24, 1), of=managed(rotated(2, last=""))),
    ),
    "an unused key": ("TK703", user(found(None, 60, 45))),
    "an old key of which no use is known": ("TK704", user(found(None, 45))),
    "two unmanaged keys": ("TK705", user(found(None, 5, 1), found(None, 6, 1))),
    "a key from outside": ("TK706", user(CURRENT, found(THIRD, 6, 1), of=managed(rotated(last="")))),
    "an orphaned key": (
        "TK707",
        user(CURRENT, found(THIRD, 1), of=managed(rotated(last="", intent=Intent((NEW,), NOW - 1.0001 * DAY)))),
    ),
    "an unreadable journal": ("TK708", user(found(None, 5, 1), of=managed(why="No connection."))),
    "an Inactive CURRENT": (
        "TK709",
        user(found(NEW, 5.001, 4, active=False), LAST, of=managed(rotated())),
    ),
    "a deleted CURRENT": ("TK709", user(LAST, of=managed(rotated()))),
    "an empty store": ("TK709", user(CURRENT, of=managed(rotated(), NotHeld()))),
    "a store without a key and a journal": ("TK714", user(CURRENT, of=managed(rotated(current="", last="")))),
    "a late rotation": ("TK710", user(found(NEW, 15.5, 1), LAST, of=managed(rotated(15.5)))),
    "a destination that is out of date": (
        "TK711",
        user(CURRENT, LAST, of=managed(rotated(delivered=delivered(OLD)), destinations=(SITE,))),
    ),
    "an interrupted rotation": (
        "TK712",
        user(CURRENT, LAST, of=managed(rotated(intent=Intent((NEW, OLD), NOW - DAY)))),
    ),
    "a store that was rolled back": ("TK713", user(CURRENT, LAST, of=managed(rotated(), Held(OLD)))),
    "two keys and an empty store": ("TK713", user(CURRENT, LAST, of=managed(rotated(current="", last="")))),
    "a key of root": ("TK720", root(found(None, 5, 1))),
    "a root without MFA": ("TK721", root(mfa=False)),
    "a password without MFA": ("TK722", user(password=True)),
    "an unused password": ("TK723", user(password=True, mfa=True, password_used=NOW - 45 * DAY)),
}
ALSO = {
    "an orphaned key": {"TK712"},
    "a store that was rolled back": {"TK710"},
    "two keys and an empty store": {"TK714"},
}
"""An orphan is there because a rotation was interrupted; a store that was rolled back holds an old key."""


@pytest.mark.parametrize("what", PLANTED)
def test_what_is_planted_is_found_and_nothing_else(what: str) -> None:
    rule, planted = PLANTED[what]
    assert ids(planted) == {rule, *ALSO.get(what, set())}


CLEAN = {
    "CURRENT and LAST, both Active": user(CURRENT, LAST, of=managed(rotated())),
    "CURRENT and LAST, both used": user(CURRENT, found(OLD, 20, 0.5), of=managed(rotated())),
    "a LAST of which no use is known": user(CURRENT, found(OLD, 20), of=managed(rotated())),
    "a soon to be removed LAST": user(
        found(NEW, 14.001, 1), found(OLD, 28.5, 14), of=managed(rotated(14)), password=False
    ),
    "a destination of which nothing is known": user(CURRENT, LAST, of=managed(rotated(), destinations=(SITE,))),
    "a destination that holds CURRENT": user(
        CURRENT, LAST, of=managed(rotated(delivered=delivered(NEW)), destinations=(SITE,))
    ),
    "a young key of which no use is known": user(found(None, 44)),
    "a key without any date": user(FoundKey(None, active=True, created=None)),
    "old, unused, but Inactive keys": user(found(None, 300, 200, active=False), found(None, 300, active=False)),
    "one Active and one Inactive key": user(found(None, 5, 1), found(None, 5, active=False)),
    "a password whose use and MFA are unknown": user(password=True, mfa=None),
    "a user without anything": user(),
    "a root user without keys": root(),
    "a root user of whose MFA nothing is known": root(mfa=None),
    "an Inactive key of root": root(found(None, 5, active=False)),
}


@pytest.mark.parametrize("what", CLEAN)
def test_nothing_is_found_in(what: str) -> None:
    assert ids(CLEAN[what]) == set()


def test_an_unknown_use_is_never_called_unused() -> None:
    [finding] = findings.findings([user(found(None, 80))], LIMITS)
    assert finding.id == "TK704"
    assert "it was never used, or IAM has no data about it" in finding.message
    assert not {*findings.UNUSED_KEY, *findings.LONG} & {*finding.controls}


class TestControls:
    """The field's controls have limits of their own: a finding names one where its limit is exceeded, too."""

    @pytest.mark.parametrize(
        ("one", "rule", "expected"),
        [
            (user(found(None, 91, 1)), "TK701", findings.ROTATE),
            (user(CURRENT, found(OLD, 31, 4), of=managed(rotated(4))), "TK701", ()),
            (user(found(None, 89, 89)), "TK703", findings.UNUSED_KEY),
            (user(found(None, 90, 90)), "TK703", (*findings.UNUSED_KEY, *findings.LONG)),
            (user(found(None, 45), password=True, mfa=True), "TK704", findings.INITIAL_KEY),
            (user(CURRENT, found(THIRD, 6, 1), of=managed(rotated(last=""))), "TK706", findings.TWO_KEYS),
            (user(CURRENT, found(THIRD, 6, active=False), of=managed(rotated(last=""))), "TK706", ()),
        ],
    )
    def test_are_those_whose_limit_is_exceeded(self, one: FoundUser, rule: str, expected: tuple[str, ...]) -> None:
        assert controls(one, rule) == [*expected]

    def test_of_a_finding_are_among_those_of_its_rule(self) -> None:
        for _, planted in PLANTED.values():
            for finding in findings.findings([planted], LIMITS):
                assert {*finding.controls} <= {*RULES[finding.id].controls}


def test_the_most_severe_comes_first() -> None:
    found_in = findings.findings([planted for _, planted in PLANTED.values()], LIMITS)
    severities = [finding.severity for finding in found_in]
    assert severities == sorted(severities, key=["critical", "high", "medium", "low"].index)


class TestTheRemedyOfAStoreWhoseKeyIsNotActive:
    def test_deletes_a_revoked_key_because_a_rotation_without_room_is_refused(self) -> None:
        revoked = rotated(revoked={NEW: Revoked(NOW - DAY)})
        assert self._remedy(user(found(NEW, 5.001, 4, active=False), LAST, of=managed(revoked))) == (
            f"twokey revoke {NEW} --delete"
        )

    def test_looks_first_where_twokey_did_not_stop_the_key(self) -> None:
        assert self._remedy(user(found(NEW, 5.001, 4, active=False), LAST, of=managed(rotated()))) == "twokey plan ci"

    def _remedy(self, planted: FoundUser) -> str:
        [one] = [one for one in findings.findings([planted], LIMITS) if one.id == "TK709"]
        return one.remedy


def test_the_limit_of_others_is_configured() -> None:
    limits = findings.Limits(NOW, 30 * DAY, timedelta(0))
    assert {finding.id for finding in findings.findings([user(found(None, 31, 1))], limits)} == {"TK701"}


def test_every_rule_is_planted() -> None:
    assert {rule for rule, _ in PLANTED.values()} == set(RULES)


class TestWhatWasChecked:
    @pytest.mark.parametrize("what", PLANTED)
    def test_has_the_rule_of_every_finding(self, what: str) -> None:
        _, planted = PLANTED[what]
        assert ids(planted) <= set(findings.checked([planted]))

    def test_has_no_rule_that_there_was_no_user_for(self) -> None:
        assert findings.checked([]) == []
        assert findings.checked([root()]) == ["TK720", "TK721"]
        everyone = [user(found(None, 5)), user(CURRENT, LAST, of=managed(rotated())), root()]
        assert findings.checked(everyone) == [*RULES]
        of_others = findings.checked(everyone[:1])
        assert {"TK701", "TK705"} <= {*of_others}
        assert not {"TK301", "TK709", "TK714", "TK720"} & {*of_others}
        assert "TK705" not in findings.checked(everyone[1:])
