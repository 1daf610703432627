"""Whose sessions a run ends, up to which moment, and what its results say of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fleet.leaked import NOTHING, NOW, ROLE, Account, assuming, key, runtime
from fleet.test_lookup import ACCOUNT, DENIED, user
from twokey.aws.clock import ServiceClock
from twokey.core.errors import Failed, NotFound, ServiceError
from twokey.core.model import MachineUser
from twokey.core.reasons import Reason, Revocation
from twokey.fleet.ending import KEPT, LATE, SHOWN, Ending, lifted, lifts
from twokey.fleet.first import Request
from twokey.fleet.revoking import Leaks
from twokey.inventory.picture import Picture
from twokey.revocation import token_policies
from twokey.revocation.contain import Contained
from twokey.revocation.results import RevokeResult

pytestmark = pytest.mark.usefixtures("folder")


class Run:
    """A run over an account, with a clock that stands still until it is moved; every key became Inactive now."""

    def __init__(self, account: Account, *, own_arn: str | ServiceError = "", **options: Any) -> None:
        self.account = account
        self.runtime, _ = runtime(account)
        self.now = NOW.replace(microsecond=0)
        cast("Any", self.runtime.clients).clock = ServiceClock(wall=self._time)
        self.own_arn = own_arn
        self.calls_of_sts = 0
        self.runtime.sts = cast("Any", SimpleNamespace(caller=self._caller))
        picture = Picture(cast("Any", account)) if options.pop("read", False) else None
        self.ending = Ending(self.runtime, picture=picture, **options)

    def _time(self) -> float:
        return self.now.timestamp()

    def _caller(self) -> tuple[str, str, str]:
        self.calls_of_sts += 1
        if isinstance(self.own_arn, ServiceError):
            raise self.own_arn
        return ACCOUNT, self.own_arn, ""

    def leaks(self, *names: str, ended: tuple[RevokeResult, ...] = ()) -> Leaks:
        contained = {name: [Contained(key(name, 1), self.now)] for name in names}
        return Leaks(Request(()), {name: [key(name, 1)] for name in names}, contained, ended=list(ended))

    def revoked(self, name: str, outcome: Revocation = Revocation.REVOKED) -> RevokeResult:
        return RevokeResult(user(name), outcome, Reason.LEAKED, "It is done.", (Contained(key(name, 1), self.now),))


def policy(at: datetime) -> str:
    return token_policies.deny(at).name


class TestAPreview:
    def test_says_whose_sessions_end(self) -> None:
        run = Run(Account({"a": assuming("deploy"), "b": NOTHING}, ("deploy",)))
        found = run.ending.previews(run.leaks("a", "gone"))
        assert found == {
            "a": [
                "Sessions of the user a and of 1 role (deploy) from before now are denied everything; new ones work."
            ],
            "gone": [],
        }
        assert [*run.ending.summary(run.leaks("a", "b", "gone"))] == [
            "Sessions of 2 users and of 1 role from before now are denied everything; new ones work."
        ]
        assert (run.account.readings, set(run.account.read)) == (1, {"gone"})

    def test_says_that_they_are_kept(self) -> None:
        run = Run(Account({"a": NOTHING}, quarantined=("a",)), keep=True)
        [quarantine, kept] = run.ending.previews(run.leaks("a"))["a"]
        assert "AWS has attached AWSCompromisedKeyQuarantineV3 to a: " in quarantine
        assert kept == KEPT
        assert [*run.ending.summary(run.leaks("a"))] == [KEPT]

    def test_says_which_users_aws_has_quarantined(self) -> None:
        run = Run(Account({"a": NOTHING, "b": NOTHING, "c": NOTHING}, quarantined=("a", "c")), read=True)
        [*_, sentence] = run.ending.summary(run.leaks("a", "b", "c"))
        assert sentence == "AWS has quarantined a, c: see --plan --json for what that means."
        first, second = run.ending.previews(run.leaks("a", "b")).values()
        assert (len(first), len(second)) == (2, 1)
        assert (run.account.readings, run.account.read) == (1, [])

    def test_says_that_the_roles_are_unknown_where_the_account_cannot_be_read(self) -> None:
        account = Account({"a": NOTHING})
        account.policies = None
        run = Run(account)
        [_, unknown] = run.ending.previews(run.leaks("a"))["a"]
        assert unknown == f"Sessions of roles stay valid: which a can assume is unknown. {DENIED}"
        run.ending.previews(run.leaks("a"))
        assert account.readings == 1

    def test_is_about_a_user_that_is_known_although_the_account_was_read_before_it_existed(self) -> None:
        account = Account({"a": NOTHING})
        account.policies = {}
        for known in (True, False):
            run = Run(account)
            leaks = run.leaks("a")
            if known:
                leaks.jobs["a"] = cast("Any", SimpleNamespace(user=user("a")))
            account.read.clear()
            assert len(run.ending.previews(leaks)["a"]) == 1
            assert account.read == ([] if known else ["a"])


class TestTheEnd:
    def test_of_the_sessions_of_users_and_the_roles_that_they_reach_comes_twice(self) -> None:
        run = Run(Account({"a": assuming("deploy"), "b": NOTHING, "none": NOTHING}, ("deploy", "other")))
        first = run.now + timedelta(seconds=1)
        leaks = run.leaks("a", "b", "gone")
        leaks.contained["none"] = []
        run.ending.begin(leaks)
        assert run.account.put == [("user a", policy(first)), ("user b", policy(first)), ("role deploy", policy(first))]
        results = [run.revoked("a"), replace(run.revoked("b"), contained=()), run.revoked("gone")]
        run.now += timedelta(minutes=1)
        run.account.put.clear()
        a, b, gone = run.ending.finish(results)
        late = NOW.replace(microsecond=0) + LATE
        assert {name for _, name in run.account.put} == {policy(late)}
        assert run.account.deleted == [(name, policy(first)) for name in ("user a", "user b", "role deploy")]
        assert [(one.role, one.outcome, one.policy) for one in a.sessions] == [
            (user("a").arn, "ended", policy(late)),
            (f"{ROLE}deploy", "ended", policy(late)),
        ]
        assert [one.role for one in b.sessions] == [user("b").arn]
        assert (a.outcome, a.message, gone) == (Revocation.REVOKED, "It is done.", results[2])

    def test_is_not_repeated_where_the_cut_off_would_be_no_later(self) -> None:
        run = Run(Account({"a": NOTHING}))
        run.ending.begin(run.leaks("a"))
        run.account.put.clear()
        run.ending.finish([run.revoked("a")])
        assert run.account.put == []

    def test_is_repeated_up_to_now_where_the_last_key_has_just_become_inactive(self) -> None:
        run = Run(Account({"a": NOTHING, "b": NOTHING}))
        run.ending.begin(run.leaks("a", "b"))
        early = run.revoked("a")
        run.now += timedelta(seconds=30)
        late = run.revoked("b")
        run.now += timedelta(seconds=4)
        run.account.put.clear()
        run.ending.finish([early, late])
        assert {name for _, name in run.account.put} == {policy(run.now + timedelta(seconds=1))}

    def test_is_no_second_one_without_a_first_or_without_a_key_of_its_users(self) -> None:
        run = Run(Account({"a": NOTHING, "b": NOTHING}))
        assert run.ending.finish([run.revoked("a")]) == [run.revoked("a")]
        run.ending.begin(run.leaks("a"))
        run.now += timedelta(minutes=1)
        run.account.put.clear()
        run.ending.finish([run.revoked("b"), replace(run.revoked("a"), contained=())])
        assert run.account.put == []

    def test_is_left_out_where_the_operator_keeps_the_sessions(self) -> None:
        run = Run(Account({"a": assuming("deploy")}, ("deploy",)), keep=True)
        run.ending.begin(run.leaks("a"))
        run.now += timedelta(minutes=1)
        [result] = run.ending.finish([run.revoked("a")])
        assert run.account.put == []
        assert [(one.role, one.outcome) for one in result.sessions] == [
            (user("a").arn, "kept"),
            (f"{ROLE}deploy", "kept"),
        ]
        assert result.outcome is Revocation.REVOKED

    def test_without_a_contained_key_calls_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ASIAOWNOWNOWNOWNOWN1")
        run = Run(Account({"a": NOTHING}))
        run.ending.begin(run.leaks())
        assert (run.account.put, run.account.readings, run.calls_of_sts) == ([], 0, 0)

    def test_that_is_left_to_the_operator_has_the_later_of_two_cut_offs(self) -> None:
        run = Run(Account({"a": assuming("deploy")}, ("deploy",)))
        run.account.errors["put deploy"] = DENIED
        early = run.revoked("a")
        run.now += timedelta(minutes=5)
        run.ending.begin(run.leaks("a"))
        [result] = run.ending.finish([early])
        assert f"{run.now + timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}" in result.sessions[1].policy

    @pytest.mark.parametrize("more", [0, 1])
    @pytest.mark.parametrize(("outcome", "reason"), [(Revocation.CONTAINED, Reason.LEAKED), (Revocation.REVOKED, None)])
    def test_that_fails_for_a_role_leaves_a_user_contained_only(
        self, outcome: Revocation, reason: Reason | None, more: int
    ) -> None:
        roles = tuple(f"r{number}" for number in range(SHOWN + more))
        run = Run(Account({"a": assuming(*roles)}, roles))
        run.account.errors |= {f"put {role}": DENIED for role in roles}
        run.ending.begin(run.leaks("a"))
        [result] = run.ending.finish([run.revoked("a", outcome)])
        assert (result.outcome, result.reason) == (Revocation.CONTAINED, reason or Reason.SESSIONS_LEFT)
        listed = ", ".join(f"{ROLE}{role}" for role in roles[:SHOWN])
        listed += " and 1 more" if more else ""
        left = f" Sessions of {listed} were not ended, and the leaked key may have made some."
        assert result.message == "It is done." + ("" if reason else left)

    def test_spares_the_session_that_twokey_itself_runs_with(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ASIAOWNOWNOWNOWNOWN1")
        arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/deploy/run"
        run = Run(Account({"a": assuming("deploy")}, ("deploy",)), own_arn=arn)
        run.ending.begin(run.leaks("a"))
        assert [name for name, _ in run.account.put] == ["user a"]
        [result] = run.ending.finish([run.revoked("a")])
        assert "twokey itself runs with a session of the role deploy" in result.sessions[1].message
        assert result.message.endswith(
            f" Sessions of {ROLE}deploy were not ended, and the leaked key may have made some."
        )

    def test_spares_every_role_where_it_is_unknown_who_runs_twokey(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ASIAOWNOWNOWNOWNOWN1")
        run = Run(Account({"a": assuming("deploy")}, ("deploy",)), own_arn=DENIED)
        run.ending.begin(run.leaks("a"))
        assert [name for name, _ in run.account.put] == ["user a"]
        [result] = run.ending.finish([run.revoked("a")])
        assert [one.role for one in result.sessions] == [user("a").arn, f"{ROLE}*"]
        assert str(DENIED) in result.sessions[1].message

    def test_is_that_of_users_with_a_key_that_twokey_runs_with_too(self) -> None:
        run = Run(Account({"a": NOTHING}), own_arn=user("a").arn)
        run.ending.begin(run.leaks("a"))
        assert [name for name, _ in run.account.put] == ["user a"]

    def test_of_a_quarantined_user_says_what_the_quarantine_means(self) -> None:
        run = Run(Account({"a": NOTHING}, quarantined=("a",)))
        run.ending.begin(run.leaks("a"))
        [result] = run.ending.finish([run.revoked("a")])
        assert result.message.startswith("It is done. AWS has attached AWSCompromisedKeyQuarantineV3 to a: ")


class TestAQuarantinedUser:
    """Of one that cannot change its own key, the result says who can."""

    def failed(self, name: str, **changes: Any) -> RevokeResult:
        result = RevokeResult(MachineUser(name, "", "", "", ""), Revocation.FAILED, Reason.ERROR, "Denied.")
        return replace(result, **changes)

    def run(self, *results: RevokeResult, own: str = "a", quarantined: str = "a") -> tuple[Run, list[RevokeResult]]:
        account = Account({"a": NOTHING, "b": NOTHING}, quarantined=tuple(quarantined))
        run = Run(account, own_arn=user(own).arn)
        leaks = run.leaks(ended=results)
        run.ending.begin(leaks)
        return run, leaks.ended

    def test_is_refused_with_the_way_on(self) -> None:
        other = self.failed("b")
        _, (first, second) = self.run(other, self.failed("a"))
        assert first == other
        assert (second.user.name, second.outcome, second.reason) == ("a", Revocation.REFUSED, Reason.OWN_KEY)
        assert second.message.startswith("twokey runs as a itself, and AWS has quarantined that user ")

    def test_stays_failed_where_that_is_not_the_cause(self) -> None:
        for own, quarantined, result in (
            ("b", "a", self.failed("a")),
            ("a", "b", self.failed("a")),
            ("a", "a", self.failed("a", contained=(Contained(key("a", 1), NOW),))),
            ("a", "a", self.failed("a", outcome=Revocation.CONTAINED)),
            ("a", "a", self.failed("gone")),
        ):
            run, explained = self.run(result, own=own, quarantined=quarantined)
            assert explained == [result]
            assert run.calls_of_sts == (own == "b")

    def test_stays_failed_where_the_account_cannot_be_read(self) -> None:
        account = Account({"a": NOTHING}, quarantined=("a",))
        account.policies = None
        run, result = Run(account, own_arn=user("a").arn), self.failed("a")
        leaks = run.leaks(ended=(result,))
        run.ending.begin(leaks)
        assert leaks.ended == [result]


class TestLifting:
    OVER = NOW - timedelta(hours=40)
    FRESH = NOW - timedelta(hours=1)

    def account(self) -> Account:
        account = Account({"a": assuming("deploy"), "b": NOTHING, "c": NOTHING}, ("deploy", "other"))
        account.known = (user("a"), user("b"), user("c", "/n/"))
        old, new = policy(self.OVER), policy(self.FRESH)
        account.present = {"a": old, "deploy": old, "b": new, "other": old, "c": old}
        return account

    def found(self, names: tuple[str, ...] = (), path: str | None = None) -> list[str]:
        own, _ = runtime(self.account())
        return [one.principal.name for one in lifts(own, names, path)]

    def test_is_of_named_users_of_those_below_a_path_or_of_the_whole_account(self) -> None:
        assert self.found(("a",)) == ["a", "deploy"]
        assert self.found((key("a", 1), "b")) == ["a", "deploy", "b"]
        assert self.found(("b",), "/n/") == ["b"]
        assert self.found(path="/n/") == ["c"]
        assert sorted(self.found()) == ["a", "b", "c", "deploy", "other"]

    def test_of_a_user_a_key_or_a_path_that_does_not_exist_is_an_error(self) -> None:
        with pytest.raises(NotFound, match="The user gone is not"):
            self.found(("gone",))
        with pytest.raises(NotFound, match=rf"^No user of this account has the key {key('gone', 1)}\."):
            self.found((key("gone", 1),))
        with pytest.raises(Failed, match=r"^The account has no IAM user below /none/\."):
            self.found(path="/none/")

    def test_removes_the_policies_whose_sessions_are_over_unless_it_is_only_planned(self) -> None:
        account = self.account()
        own, _ = runtime(account)
        found = lifts(own, ("a", "b"), None)
        planned = [(one.principal, one.outcome) for one in lifted(own, found, only_plan=True)]
        assert planned == [(user("a").arn, "due"), (f"{ROLE}deploy", "due"), (user("b").arn, "refused")]
        assert account.deleted == []
        done = [(one.principal, one.outcome) for one in lifted(own, found, only_plan=False)]
        assert done == [(user("a").arn, "lifted"), (f"{ROLE}deploy", "lifted"), (user("b").arn, "refused")]
        assert account.deleted == [("user a", policy(self.OVER)), ("role deploy", policy(self.OVER))]
