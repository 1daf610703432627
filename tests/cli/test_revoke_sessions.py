"""``twokey revoke`` ends the sessions that the leaked key made, and lifts that once they are over."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

import pytest
from botocore.exceptions import ClientError

from support.commands import Ran, twokey
from support.roles import make_role, policy
from twokey.aws.iam import Iam
from twokey.emulator import KeyPair
from twokey.fleet import ending

if TYPE_CHECKING:
    from support.rig import Rig

SELECTED = ("--store", "secretsmanager:machine-users/{user}")
ALLOW = {"Effect": "Allow", "Action": "*", "Resource": "*"}
NOTHING_ELSE = policy({"Effect": "Allow", "Action": "secretsmanager:ListSecrets", "Resource": "*"})
QUARANTINE = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"


@pytest.fixture
def key(rig: Rig) -> KeyPair:
    """CURRENT of a user without another key, and two roles that it may assume, one after the other."""
    rig.aws.make_user("ci", path="/machine-users/", keys=0)
    assert twokey("rotate", "ci", *SELECTED).code == 0
    first = make_role(rig.aws, "first")
    for name in ("first", "second"):
        if name == "second":
            make_role(rig.aws, name, first)
        assume = {"Effect": "Allow", "Action": ["sts:AssumeRole"], "Resource": "arn:aws:iam::123456789012:role/second"}
        may = policy(assume) if name == "first" else NOTHING_ELSE
        rig.aws.client("iam").put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=may)
    stored = rig.stored()
    assert stored
    return stored


def assume(rig: Rig, name: str, key: KeyPair) -> KeyPair:
    arn = f"arn:aws:iam::123456789012:role/{name}"
    found = rig.aws.client("sts", key).assume_role(RoleArn=arn, RoleSessionName="run-1")["Credentials"]
    return KeyPair(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])


def lists(rig: Rig, session: KeyPair) -> Any:
    return rig.aws.client("secretsmanager", session).list_secrets()["SecretList"]


def revoke(*arguments: str) -> Ran:
    return twokey("revoke", *arguments, *SELECTED, "--yes", "--json")


def result(ran: Ran) -> Any:
    (found,) = ran.document["results"]
    return found


def sessions(found: Any) -> dict[str, str]:
    return {one["role"].rpartition("/")[2]: one["outcome"] for one in found["sessions"]}


def test_sessions_of_the_leaked_key_end_and_those_of_the_new_one_work_until_and_after_the_lift(
    rig: Rig, key: KeyPair
) -> None:
    session = assume(rig, "second", assume(rig, "first", key))
    assert lists(rig, session)
    rig.later(seconds=2)
    ran = revoke("ci")
    found = result(ran)
    assert (ran.code, found["outcome"], found["reason"]) == (0, "revoked", "leaked"), found
    assert sessions(found) == {"ci": "ended", "first": "ended", "second": "ended"}
    with pytest.raises(ClientError, match="explicit deny"):
        lists(rig, session)
    rig.later(seconds=10)
    new = rig.stored()
    assert new
    assert lists(rig, assume(rig, "second", assume(rig, "first", new)))
    early = twokey("revoke", "--lift", "ci", "--json")
    assert early.code == 3
    assert {one["outcome"] for one in early.document["results"]} == {"refused"}
    rig.later(hours=36)
    planned = twokey("revoke", "--lift", "ci", "--plan", "--json")
    assert (planned.code, planned.document["summary"]["due"]) == (0, 3)
    late = twokey("revoke", "--lift", "--json")
    assert (late.code, late.document["summary"]["lifted"]) == (0, 3), late.document
    assert lists(rig, assume(rig, "second", assume(rig, "first", new)))
    assert "nothing to lift" in twokey("revoke", "--lift").err
    misspelt = twokey("revoke", "--lift", "--path", "/nowhere/")
    assert (misspelt.code, "no IAM user below /nowhere/" in misspelt.err) == (1, True)


def test_the_account_is_read_once_and_only_after_the_key_is_inactive(rig: Rig, key: KeyPair) -> None:
    rig.aws.clear_requests()
    assert revoke("ci").code == 0
    names = [request.name for request in rig.aws.requests]
    assert names.count("iam:GetAccountAuthorizationDetails") == 1
    assert names.index("iam:UpdateAccessKey") < names.index("iam:GetAccountAuthorizationDetails")
    assert names.index("iam:PutUserPolicy") < names.index("iam:PutRolePolicy") < names.index("iam:CreateAccessKey")


def test_a_session_that_the_key_makes_where_it_still_works_is_ended_at_the_end(
    rig: Rig, key: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.aws.weather.deletion_lag = 3600.0
    monkeypatch.setattr(ending, "LATE", timedelta(hours=1))  # however busy the machine is
    made = []
    finish = ending.Ending.finish

    def after_a_last_session(self: ending.Ending, results: Any) -> Any:
        rig.later(seconds=5)
        made.append(assume(rig, "second", assume(rig, "first", key)))
        assert lists(rig, made[0]) is not None
        self._runtime.iam.user("ci")  # a response of AWS, which has its time
        return finish(self, results)

    monkeypatch.setattr(ending.Ending, "finish", after_a_last_session)
    ran = revoke("ci")
    assert result(ran)["outcome"] == "revoked"
    with pytest.raises(ClientError, match="explicit deny"):
        lists(rig, made[0])
    policies = rig.aws.client("iam").list_user_policies(UserName="ci")["PolicyNames"]
    assert len(policies) == 1


def test_an_interruption_while_sessions_are_ended_says_that_the_key_is_inactive(
    rig: Rig, key: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Iam.put_inline_policy

    def interrupted(self: Iam, kind: Literal["user", "role"], *rest: str) -> None:
        if kind == "role":
            raise KeyboardInterrupt
        put(self, kind, *rest)

    monkeypatch.setattr(Iam, "put_inline_policy", interrupted)
    ran = revoke("ci")
    assert ran.code == 130
    assert (result(ran)["outcome"], result(ran)["reason"]) == ("contained", "stopped")
    assert "the run was interrupted" in result(ran)["message"]
    monkeypatch.undo()
    for name, value in rig.aws.environment().items():
        monkeypatch.setenv(name, value)
    assert sessions(result(revoke("ci"))) == {"ci": "ended", "first": "ended", "second": "ended"}


def test_the_plan_says_whose_sessions_end(rig: Rig, key: KeyPair) -> None:
    ran = twokey("revoke", "ci", *SELECTED, "--plan", "--json")
    (entry,) = ran.document["results"]
    assert entry["sessions"] == [
        "Sessions of the user ci and of 2 roles (first, second) from before now are denied everything; new ones work."
    ]
    assert "of 2 roles (first, second)" in " ".join(twokey("revoke", "ci", *SELECTED, "--plan").out.split())
    kept = twokey("revoke", "ci", *SELECTED, "--plan", "--keep-sessions")
    assert "Sessions that the key made stay valid (--keep-sessions)." in kept.out
    assert rig.aws.count("iam:PutUserPolicy") == 0


def test_sessions_are_kept_where_the_operator_wants_that(rig: Rig, key: KeyPair) -> None:
    session = assume(rig, "second", assume(rig, "first", key))
    rig.later(seconds=2)
    ran = revoke("ci", "--keep-sessions")
    assert (ran.code, sessions(result(ran))) == (0, {"ci": "kept", "first": "kept", "second": "kept"})
    assert lists(rig, session)


def test_sessions_that_could_not_be_ended_leave_the_key_contained(rig: Rig, key: KeyPair) -> None:
    trust = policy({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"})
    rig.aws.client("iam").create_role(RoleName="sso", Path="/aws-reserved/x/", AssumeRolePolicyDocument=trust)
    ran = revoke("ci")
    found = result(ran)
    assert (ran.code, found["outcome"], found["reason"]) == (1, "contained", "sessions_left"), found
    assert sessions(found)["sso"] == "denied"
    assert "Sessions of arn:aws:iam::123456789012:role/aws-reserved/x/sso were not ended" in found["message"]
    assert found["current"] == rig.held() != key.access_key_id


def test_a_few_roles_whose_sessions_go_on_are_named_and_the_others_counted(rig: Rig, key: KeyPair) -> None:
    trust = policy({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"})
    for number in range(7):
        path = "/aws-service-role/x/"
        rig.aws.client("iam").create_role(RoleName=f"x{number}", Path=path, AssumeRolePolicyDocument=trust)
    ran = twokey("revoke", "ci", *SELECTED, "--yes")
    lines = " ".join(ran.out.split())
    assert "ci: earlier sessions of the user and of 2 roles were ended" in lines
    assert lines.count("It is a service-linked role, which only AWS can change") == 5
    assert "ci: sessions of 2 more roles were not ended: see --json or --evidence" in lines


def test_sessions_of_a_user_without_a_store_are_ended_too(rig: Rig) -> None:
    (leaked,) = rig.aws.make_user("other", keys=1)
    ran = twokey("revoke", leaked.access_key_id, "--yes", "--json")
    assert (result(ran)["outcome"], sessions(result(ran))) == ("contained", {"other": "ended"})


def test_without_a_look_at_the_account_the_user_s_sessions_end_and_the_roles_are_named_as_unknown(
    rig: Rig, key: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = rig.aws.make_user("operator", path="/", keys=1)[0]
    deny = {"Effect": "Deny", "Action": "iam:GetAccountAuthorizationDetails", "Resource": "*"}
    rig.aws.client("iam").put_user_policy(UserName="operator", PolicyName="p", PolicyDocument=policy(ALLOW, deny))
    for name, value in rig.aws.environment(operator).items():
        monkeypatch.setenv(name, value)
    ran = revoke("ci")
    found = result(ran)
    assert (ran.code, found["outcome"]) == (1, "contained")
    assert sessions(found) == {"ci": "ended", "*": "denied"}
    assert "iam:GetAccountAuthorizationDetails" in found["sessions"][1]["message"]


def test_a_run_does_not_end_its_own_session(rig: Rig, key: KeyPair, monkeypatch: pytest.MonkeyPatch) -> None:
    arn = make_role(rig.aws, "rotator", "arn:aws:iam::123456789012:root", rig.aws.account_id)
    may = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": arn}
    rig.aws.client("iam").put_user_policy(UserName="ci", PolicyName="may", PolicyDocument=policy(may))
    for name, value in rig.aws.environment(assume(rig, "rotator", rig.aws.admin)).items():
        monkeypatch.setenv(name, value)
    rig.later(seconds=2)
    found = result(revoke("ci"))
    assert (found["outcome"], found["reason"]) == ("contained", "sessions_left")
    assert sessions(found)["rotator"] == "denied"
    assert found["current"] == rig.held() != key.access_key_id


class TestQuarantine:
    def test_is_explained_before_and_after_and_another_principal_rotates(self, rig: Rig, key: KeyPair) -> None:
        rig.aws.client("iam").attach_user_policy(UserName="ci", PolicyArn=QUARANTINE)
        planned = twokey("revoke", "ci", *SELECTED, "--plan", "--json").document["results"][0]
        assert "AWS has attached AWSCompromisedKeyQuarantineV3 to ci" in planned["sessions"][0]
        found = result(revoke("ci"))
        assert found["outcome"] == "revoked"
        assert "but not sts:AssumeRole" in found["message"]

    def test_the_quarantined_user_itself_is_refused_with_what_to_do(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        leaked, other = rig.aws.make_user("ci")
        iam = rig.aws.client("iam")
        iam.put_user_policy(UserName="ci", PolicyName="all", PolicyDocument=policy(ALLOW))
        iam.attach_user_policy(UserName="ci", PolicyArn=QUARANTINE)
        for name, value in rig.aws.environment(other).items():
            monkeypatch.setenv(name, value)
        ran = twokey("revoke", leaked.access_key_id, "--yes", "--json")
        assert (ran.code, result(ran)["outcome"], result(ran)["reason"]) == (3, "refused", "own_key")
        assert "credentials of another principal" in result(ran)["message"]
        assert {status for _, status, _ in rig.aws.keys("ci")} == {"Active"}


@pytest.mark.parametrize("option", [("--both",), ("--delete",), ("--keep", "7d"), ("--keep-sessions",)])
def test_a_lift_takes_no_option_of_a_revocation(option: tuple[str, ...]) -> None:
    ran = twokey("revoke", "--lift", "ci", *option)
    assert (ran.code, f"--lift and {option[0]} exclude each other" in ran.err) == (2, True)


class TestAll:
    @pytest.fixture
    def users(self, rig: Rig) -> list[str]:
        """Two users that may assume one role, which a third user uses as well."""
        users = ["one", "two"]
        for name in (*users, "bystander"):
            rig.aws.make_user(name, path="/m/" if name in users else "/other/", keys=1)
        start = f"arn:aws:iam::{rig.aws.account_id}:user"
        make_role(rig.aws, "shared", f"{start}/m/one", f"{start}/m/two", f"{start}/other/bystander")
        rig.aws.client("iam").put_role_policy(RoleName="shared", PolicyName="all", PolicyDocument=NOTHING_ELSE)
        return users

    def test_each_role_is_changed_once_and_the_account_is_read_once(self, rig: Rig, users: list[str]) -> None:
        rig.aws.clear_requests()
        ran = twokey("revoke", "--all", "--path", "/m/", "--yes", "--json")
        assert {one["user"]: sessions(one) for one in ran.document["results"]} == {
            name: {name: "ended", "shared": "ended"} for name in users
        }
        assert rig.aws.count("iam:GetAccountAuthorizationDetails") == 1
        puts = rig.aws.count("iam:PutRolePolicy")
        assert puts == 1 + rig.aws.count("iam:DeleteRolePolicy")
        assert puts <= 2

    def test_the_plan_counts_roles_and_names_the_others_that_use_them(self, rig: Rig, users: list[str]) -> None:
        ran = twokey("revoke", "--all", "--path", "/m/", "--plan")
        text = " ".join(ran.out.split())
        assert "Sessions of 2 users and of 1 role from before now are denied everything; new ones work." in text
        assert "That also ends sessions of these roles for bystander." in text

    def test_a_lift_below_a_path_takes_its_users_and_their_roles(self, rig: Rig, users: list[str]) -> None:
        twokey("revoke", "--all", "--path", "/m/", "--yes")
        rig.later(hours=37)
        ran = twokey("revoke", "--lift", "--all", "--path", "/other/", "--json")
        assert [one["principal"].rpartition("/")[2] for one in ran.document["results"]] == ["shared"]
        ran = twokey("revoke", "--lift", "--all", "--json")
        assert sorted(one["principal"].rpartition("/")[2] for one in ran.document["results"]) == users
