"""The sessions that a leaked key made are ended, on the user and on every role that it reaches; new ones work."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from support.roles import make_role, policy
from twokey.aws.iam import Iam
from twokey.core.errors import AccessDenied
from twokey.emulator import KeyPair
from twokey.inventory import collect
from twokey.revocation import lift, token_policies
from twokey.revocation.reached import SessionsOfUsers, of_the_user_alone
from twokey.revocation.sessions import end, kept, of, preview

if TYPE_CHECKING:
    from datetime import datetime

    from support.rig import Rig
    from twokey.core.model import MachineUser
    from twokey.permissions.account import Account
    from twokey.revocation.reached import Sessions
    from twokey.revocation.results import SessionResult

ALLOW = {"Effect": "Allow", "Action": "*", "Resource": "*"}
ROLE = "arn:aws:iam::123456789012:role/"
OTHER = "210987654321"
ELSEWHERE = f"arn:aws:iam::{OTHER}:role/deploy"


class Leak:
    """A user whose key has leaked, what it may do, and the sessions that were made with it."""

    def __init__(self, rig: Rig) -> None:
        self.rig, self.aws = rig, rig.aws
        self.key, self.new = self.aws.make_user("ci")
        self.iam = Iam(rig.clients())
        self.user: MachineUser = self.iam.user("ci")

    def may(self, *statements: Any, user: str = "ci") -> None:
        self.aws.client("iam").put_user_policy(UserName=user, PolicyName="may", PolicyDocument=policy(*statements))

    def may_assume(self, *roles: str) -> None:
        self.may({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": list(roles)})

    def assume(self, arn: str, key: KeyPair | None = None) -> KeyPair:
        return pair(self.aws.client("sts", key or self.key).assume_role(RoleArn=arn, RoleSessionName="run-1"))

    def works(self, session: KeyPair) -> bool:
        """Whether a session may list secrets; if not, it is denied explicitly."""
        ask = self.aws.client("secretsmanager", session).list_secrets
        try:
            ask()
        except ClientError:
            with pytest.raises(ClientError, match="explicit deny"):
                ask()
            return False
        return True

    def account(self) -> Account:
        return collect.details(self.iam)

    def now(self) -> datetime:
        return self.aws.now()

    def end(self, **more: Any) -> dict[str, SessionResult]:
        """End the sessions from before now, and return the results by the end of their ARNs."""
        self.rig.later(seconds=2)
        return {one.role: one for one in self.end_before(self.now(), **more)}

    def sessions(self, account: Account | None = None) -> Sessions:
        return SessionsOfUsers(account or self.account()).of(self.user)

    def end_before(self, cutoff: datetime, **more: Any) -> list[SessionResult]:
        """End the sessions from before a moment; without the result for other accounts, which a test's roles have."""
        sessions = self.sessions(more.pop("account", None))
        found = end([sessions], cutoff, more.pop("iam", self.iam), **more)
        return [one for one in of(sessions, found) if one.role != "*"]

    def policies(self, kind: str, name: str) -> list[str]:
        """The policies of ours on a user or role."""
        listed = getattr(self.aws.client("iam"), f"list_{kind}_policies")(**{f"{kind.title()}Name": name})
        return [one for one in listed["PolicyNames"] if one.startswith("twokey-revoke-")]


def pair(response: Any) -> KeyPair:
    credentials = response["Credentials"]
    return KeyPair(credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"])


@pytest.fixture
def leak(rig: Rig) -> Leak:
    return Leak(rig)


def test_every_session_that_the_key_made_is_ended_through_chains_and_new_ones_work(leak: Leak) -> None:
    first = make_role(leak.aws, "first")
    second = make_role(leak.aws, "second", first)
    unrelated = make_role(leak.aws, "unrelated", "arn:aws:iam::123456789012:user/admin/administrator")
    leak.may(ALLOW)
    own = pair(leak.aws.client("sts", leak.key).get_session_token())
    federated = pair(leak.aws.client("sts", leak.key).get_federation_token(Name="guest", Policy=policy(ALLOW)))
    a = leak.assume(first)
    b = leak.assume(second, a)
    apart = leak.assume(unrelated, leak.aws.admin)
    results = leak.end()
    assert [one.outcome for one in results.values()] == ["ended"] * 3
    assert [*results] == [leak.user.arn, first, second]
    assert [leak.works(one) for one in (own, federated, a, b, apart, leak.new)] == [*[False] * 4, True, True]
    with pytest.raises(ClientError, match="explicit deny"):
        leak.assume(second, a)
    with pytest.raises(ClientError, match="explicit deny"):
        leak.assume(first, own)
    leak.rig.later(seconds=1)
    assert leak.works(leak.assume(second, leak.assume(first, leak.new)))


def test_a_session_from_the_second_of_the_cut_off_itself_is_ended(leak: Leak) -> None:
    session = leak.assume(make_role(leak.aws, "deploy"))
    issued = leak.now().replace(microsecond=1)
    leak.end_before(issued)
    assert not leak.works(session)


def test_a_cut_off_moves_forward_and_never_back(leak: Leak) -> None:
    make_role(leak.aws, "deploy")
    leak.rig.later(seconds=2)
    early = leak.now()
    first = leak.end_before(early)
    leak.rig.later(minutes=5)
    late = leak.now()
    second = leak.end_before(late)
    [name] = leak.policies("role", "deploy")
    assert name == second[1].policy != first[1].policy
    again = leak.end_before(early)
    assert [(one.outcome, one.policy) for one in again] == [("ended", name)] * 2
    assert leak.policies("role", "deploy") == leak.policies("user", "ci") == [name]


def test_the_second_cut_off_of_a_run_replaces_the_first_without_another_look(leak: Leak) -> None:
    make_role(leak.aws, "deploy")
    sessions, now = [leak.sessions()], leak.now()
    first = end(sessions, now, leak.iam)
    leak.rig.later(seconds=10)
    second = end(sessions, leak.now(), leak.iam, replacing=first)
    assert leak.policies("role", "deploy") == leak.policies("user", "ci") == [second[leak.user.arn].policy]
    before = leak.aws.count("iam:*Policy")
    assert end(sessions, leak.now() - timedelta(seconds=1), leak.iam, replacing=second).keys() == second.keys()
    assert leak.aws.count("iam:*Policy") == before


def test_the_other_users_and_services_that_lose_their_sessions_are_named_before(leak: Leak) -> None:
    leak.aws.make_user("other", keys=0)
    trusted = [leak.user.arn, "arn:aws:iam::123456789012:user/machine-users/other", f"arn:aws:iam::{OTHER}:root"]
    make_role(leak.aws, "deploy", *trusted)
    trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = policy(trust, {"Effect": "Allow", "Principal": {"AWS": trusted}, "Action": "sts:AssumeRole"})
    leak.aws.client("iam").update_assume_role_policy(RoleName="deploy", PolicyDocument=document)
    assert list(preview(leak.sessions())) == [
        "Sessions of the user ci and of 1 role (deploy) from before now are denied everything; new ones work.",
        (
            "Sessions of the role deploy end for the user other, ec2.amazonaws.com, the account 210987654321, too: "
            "they need new ones."
        ),
        "Sessions of roles of other accounts stay valid: deploy may assume them, and twokey cannot change them.",
    ]
    assert leak.aws.count("iam:Put*Policy") == 1  # of make_role


def test_many_roles_are_counted_not_listed(leak: Leak) -> None:
    trust = policy({"Effect": "Allow", "Principal": {"AWS": leak.user.arn}, "Action": "sts:AssumeRole"})
    for number in range(11):
        path = "/aws-reserved/x/" if number == 10 else "/"
        leak.aws.client("iam").create_role(RoleName=f"role-{number}", Path=path, AssumeRolePolicyDocument=trust)
    assert list(preview(leak.sessions())) == [
        "Sessions of 1 user and of 10 roles from before now are denied everything; new ones work.",
        "Sessions of role-10 stay valid: only AWS can change these roles.",
    ]


def test_sessions_that_are_kept_are_told_from_ended_ones(leak: Leak) -> None:
    arn = make_role(leak.aws, "deploy")
    results = kept([leak.sessions()])
    assert {role: one.outcome for role, one in results.items()} == {leak.user.arn: "kept", arn: "kept"}


class TestWhatCannotBeChanged:
    def test_roles_of_other_accounts_are_listed_with_the_policy_to_put_there(self, leak: Leak) -> None:
        leak.may_assume(ELSEWHERE, "arn:aws:iam::*:role/shared")
        results = leak.end()
        there, somewhere = results[ELSEWHERE], results["arn:aws:iam::*:role/shared"]
        assert (there.outcome, somewhere.outcome) == ("denied", "kept")
        assert "with credentials of account 210987654321" in there.message
        assert "twokey trace" in somewhere.message
        role = make_role(leak.aws, "deploy", leak.user.arn, key=leak.aws.admin_of(OTHER))
        assert role == ELSEWHERE
        session = leak.assume(role)
        leak.rig.later(seconds=2)
        document = leak.end()[ELSEWHERE].policy
        iam = leak.aws.client("iam", leak.aws.admin_of(OTHER))
        iam.put_role_policy(RoleName="deploy", PolicyName="revoke", PolicyDocument=document)
        assert not leak.works(session)

    def test_roles_of_aws_are_named_with_what_to_do(self, leak: Leak) -> None:
        trust = policy({"Effect": "Allow", "Principal": {"AWS": leak.user.arn}, "Action": "sts:AssumeRole"})
        for name, path in (("linked", "/aws-service-role/x.amazonaws.com/"), ("sso", "/aws-reserved/x/")):
            leak.aws.client("iam").create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=trust)
        results = leak.end()
        messages = {arn.rpartition("/")[2]: (one.outcome, one.message) for arn, one in results.items()}
        assert messages["linked"][0] == messages["sso"][0] == "denied"
        assert "service-linked role" in messages["linked"][1]
        assert "permission set" in messages["sso"][1]
        assert leak.aws.count("iam:PutRolePolicy") == 0

    @pytest.mark.parametrize("kind", ["user", "role"])
    def test_a_denied_change_does_not_keep_the_others_from_being_made(self, leak: Leak, kind: str) -> None:
        make_role(leak.aws, "deploy")
        leak.aws.make_user("rotator", keys=0)
        name = {"user": "ci", "role": "deploy"}[kind]
        action = f"iam:Put{kind.title()}Policy"
        key = leak.aws.client("iam").create_access_key(UserName="rotator")["AccessKey"]
        leak.may(ALLOW, {"Effect": "Deny", "Action": action, "Resource": "*"}, user="rotator")
        account = leak.account()
        leak.rig.later(minutes=1)
        with pytest.MonkeyPatch.context() as environment:
            for variable, value in leak.aws.environment(KeyPair(key["AccessKeyId"], key["SecretAccessKey"])).items():
                environment.setenv(variable, value)
            results = leak.end_before(leak.now(), account=account, iam=Iam(leak.rig.clients("rotator")))
        by_kind = {one.role.split(":")[5].partition("/")[0]: one for one in results}
        other = "role" if kind == "user" else "user"
        assert by_kind[other].outcome == "ended"
        assert by_kind[kind].outcome == "denied"
        assert f"Access denied: {action}" in by_kind[kind].message
        assert f"aws iam put-{kind}-policy --{kind}-name {name} --policy-name twokey-revoke-" in by_kind[kind].message
        assert json.loads(by_kind[kind].policy)["Statement"][0]["Effect"] == "Deny"

    def test_a_user_without_room_for_another_policy_is_named_with_the_way_on(self, leak: Leak) -> None:
        leak.may(*[{**ALLOW, "Sid": letter * 900} for letter in "ab"])
        result = leak.end()[leak.user.arn]
        assert result.outcome == "denied"
        assert "has no room for another inline policy: " in result.message
        assert "managed policy" in result.message

    def test_a_role_that_is_gone_has_no_sessions(self, leak: Leak) -> None:
        arn = make_role(leak.aws, "deploy")
        account = leak.account()
        leak.aws.client("iam").delete_role_policy(RoleName="deploy", PolicyName="all")
        leak.aws.client("iam").delete_role(RoleName="deploy")
        result = leak.end_before(leak.now(), account=account)[1]
        assert (result.role, result.outcome) == (arn, "ended")
        assert "does not exist any more" in result.message

    def test_the_session_that_twokey_runs_with_is_not_ended(self, leak: Leak) -> None:
        arn = make_role(leak.aws, "rotator")
        own = leak.assume(arn)
        results = leak.end(own_arn="arn:aws:sts::123456789012:assumed-role/rotator/run-1")
        assert results[arn].outcome == "denied"
        assert "would end this run" in results[arn].message
        assert results[leak.user.arn].outcome == "ended"
        assert leak.works(own)

    def test_without_a_look_at_the_account_the_user_is_changed_and_the_roles_are_unknown(self, leak: Leak) -> None:
        leak.rig.later(seconds=2)
        sessions = of_the_user_alone(leak.user, "Allow iam:GetAccountAuthorizationDetails.")
        user, roles = of(sessions, end([sessions], leak.now(), leak.iam))
        assert (user.outcome, roles.outcome, roles.role) == ("ended", "denied", f"{ROLE}*")
        assert "iam:GetAccountAuthorizationDetails" in roles.message


def test_the_sessions_of_the_user_are_left_if_twokey_runs_with_one_of_them(leak: Leak) -> None:
    """With MFA, a session of GetSessionToken may call IAM; its ARN is that of the user."""
    found = leak.end(own_arn=leak.user.arn)[leak.user.arn]
    assert found.outcome == "denied"
    assert "runs with a session of the user ci, whose key has leaked" in found.message
    assert "aws iam put-user-policy --user-name ci" in found.message


class TestLift:
    def lifted(self, leak: Leak, users: list[MachineUser] | None = None) -> dict[str, lift.LiftResult]:
        found = lift.found(leak.account(), users)
        return {one.principal.kind: lift.lift(one, leak.now(), leak.iam) for one in found}

    def test_is_refused_until_the_longest_session_has_ended_and_removes_only_policies_of_ours(self, leak: Leak) -> None:
        make_role(leak.aws, "deploy", MaxSessionDuration=43200)
        leak.may(ALLOW)
        cutoff = next(iter(leak.end().values())).message[26:46]
        other = policy({"Effect": "Deny", "Action": "s3:*", "Resource": "*"})
        leak.aws.client("iam").put_user_policy(UserName="ci", PolicyName="twokey-revoke-other", PolicyDocument=other)
        early = self.lifted(leak, [leak.user])
        assert {kind: one.outcome for kind, one in early.items()} == {"user": "refused", "role": "refused"}
        assert cutoff in early["role"].message
        leak.rig.later(hours=12, seconds=1)
        assert {kind: one.outcome for kind, one in self.lifted(leak).items()} == {"user": "refused", "role": "lifted"}
        assert (leak.policies("role", "deploy"), len(leak.policies("user", "ci"))) == ([], 2)
        leak.rig.later(hours=24)
        assert {kind: one.outcome for kind, one in self.lifted(leak).items()} == {"user": "lifted"}
        assert leak.policies("user", "ci") == ["twokey-revoke-other"]
        assert self.lifted(leak) == {}
        assert leak.works(leak.assume(f"{ROLE}deploy", leak.new))

    def test_no_session_that_was_denied_works_after_it(self, leak: Leak) -> None:
        arn = make_role(leak.aws, "deploy", MaxSessionDuration=43200)
        sts = leak.aws.client("sts", leak.key)
        session = pair(sts.assume_role(RoleArn=arn, RoleSessionName="run-1", DurationSeconds=43200))
        own = pair(sts.get_session_token(DurationSeconds=129600))
        leak.end()
        leak.rig.later(hours=36, seconds=1)
        assert {kind: one.outcome for kind, one in self.lifted(leak).items()} == {"user": "lifted", "role": "lifted"}
        assert not leak.aws.authenticates(session)
        assert not leak.aws.authenticates(own)

    def test_a_policy_that_cannot_be_removed_is_a_failure_that_changes_nothing(self, leak: Leak) -> None:
        leak.end()
        leak.rig.later(hours=37)
        [found] = lift.found(leak.account(), None)

        class Denied:
            def delete_inline_policy(self, *_: str) -> bool:
                raise AccessDenied("iam:DeleteUserPolicy", "user ci")

        result = lift.lift(found, leak.now(), Denied())  # type: ignore[arg-type]
        assert result.outcome == "failed"
        assert "iam:DeleteUserPolicy" in result.message


def test_a_policy_of_ours_is_known_by_its_name_and_its_whole_content(leak: Leak) -> None:
    deny = token_policies.deny(leak.now())
    widened = json.loads(token_policies.document(deny))
    widened["Statement"][0]["Action"] = "s3:*"
    for name, document in (
        ("twokey-revoke-1", json.dumps(widened)),
        ("another", token_policies.document(deny)),
        (deny.name, token_policies.document(deny)),
    ):
        leak.aws.client("iam").put_user_policy(UserName="ci", PolicyName=name, PolicyDocument=document)
    [principal] = [one for one in leak.account().users if one.name == "ci"]
    assert token_policies.of(principal) == (deny,)
