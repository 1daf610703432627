"""A run over many accounts: which they are, how each is reached, and that none stops another."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.commands import twokey
from support.fleets import HOME, MACHINE_USERS, ONE, OTHER, ROLE, Fleet
from support.roles import policy
from twokey import api
from twokey.aws import iam as iam_calls
from twokey.aws.iam import Iam
from twokey.aws.member import MemberClients
from twokey.aws.roles import Sessions
from twokey.core.accounts import Account, AccountRole
from twokey.core.errors import TwokeyError
from twokey.emulator import Rule

if TYPE_CHECKING:
    from pathlib import Path

    from support.commands import Ran
    from support.rig import Rig

ORGANIZATION = "{organizations: {role: TwokeyMember}}"
LIST = f'{{list: [{{id: "{ONE}", name: one, role: {ROLE}}}, {{id: "{OTHER}", name: other, role: {ROLE}}}]}}'
NOBODY = {"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"}
CENTRAL = """
machine_users:
  - path: /machine-users/
    store: secretsmanager:{account}/{user}
    store_account: central
"""


@pytest.fixture
def fleet(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    monkeypatch.chdir(tmp_path)
    return Fleet(rig.aws, tmp_path)


def found(ran: Ran) -> dict[tuple[str, str], dict[str, Any]]:
    return {(one["account"], one["user"]): one for one in ran.document["results"]}


class TestStoresOfEachAccount:
    def test_rotates_users_of_one_name_in_every_account_of_the_organization(self, fleet: Fleet) -> None:
        fleet.account(ONE, "one", "ci")
        fleet.account(OTHER, "other", "ci")
        fleet.user(HOME, "ci")
        fleet.configure(ORGANIZATION)
        fleet.aws.clear_requests()
        ran = twokey("rotate", "--json")
        results = found(ran)
        assert ran.code == 0, ran.out
        for account in (HOME, ONE, OTHER):
            assert results[account, "ci"]["outcome"] == "rotated"
            assert fleet.held(account) == results[account, "ci"]["current"] == fleet.ids(account)[-1]
        # One session for each account, and none for that of twokey itself.
        assert fleet.aws.count("sts:AssumeRole") == 2

    def test_every_command_works_over_them_and_account_chooses(self, fleet: Fleet) -> None:
        for account, name in ((ONE, "one"), (OTHER, "other")):
            fleet.role(account)
            fleet.user(account, "ci", store=None if name == "other" else "machine-users/{user}")
        fleet.configure(LIST, MACHINE_USERS + '    deliver: ["ssm:/{account_name}/{user}"]\n')
        adopted = found(twokey("adopt", "--json"))
        assert {one["account"]: one["reason"] for one in adopted.values()} == {
            ONE: "existing_key",
            OTHER: "cannot_attribute",
        }
        assert set(found(twokey("plan", "--json"))) == {(ONE, "ci"), (OTHER, "ci")}
        assert set(found(twokey("rotate", "--account", "one", "--json"))) == {(ONE, "ci")}
        users = twokey("status", "--account", ONE, "--json").document["users"]
        assert [(one["account"], one["user"]) for one in users] == [(ONE, "ci")]
        parameters = fleet.aws.client("ssm", fleet.aws.admin_of(ONE))
        delivered = parameters.get_parameter(Name="/one/ci", WithDecryption=True)["Parameter"]["Value"]
        assert json.loads(delivered)["AccessKeyId"] == fleet.held(ONE)
        parameters.delete_parameter(Name="/one/ci")
        assert found(twokey("deliver", "--account", "one", "--json"))[ONE, "ci"]["outcome"] == "completed"
        parameters.get_parameter(Name="/one/ci")


class TestCentralStores:
    def test_keeps_users_of_one_name_apart(self, fleet: Fleet) -> None:
        for account in (ONE, OTHER):
            fleet.role(account)
            fleet.aws.make_user("ci", keys=1, ages=(20 * 86_400,), account=account)
        fleet.configure(LIST, CENTRAL)
        results = found(twokey("rotate", "--json"))
        for account in (ONE, OTHER):
            assert fleet.held(HOME, f"{account}/ci") == results[account, "ci"]["current"] == fleet.ids(account)[-1]

    @pytest.mark.parametrize("where", ["store_account: central", "lock: dynamodb:locks/{user}"])
    def test_refuses_a_url_in_which_two_accounts_would_meet(self, fleet: Fleet, where: str) -> None:
        entry = MACHINE_USERS + f"    {where}\n    store_account: central\n"
        fleet.configure(LIST, entry if "lock" in where else MACHINE_USERS + f"    {where}\n")
        ran = twokey("plan")
        assert ran.code == 2
        assert "two accounts" in ran.err
        assert "{account}" in ran.err

    def test_compares_entries_of_accounts_that_the_run_does_not_select(self, fleet: Fleet) -> None:
        home = f'{{list: [{{id: "{HOME}"}}, {{id: "{ONE}", name: one, role: {ROLE}}}]}}'
        entries = "".join(
            f"  - {{path: /machine-users/, accounts: ['{account}'], store: 'secretsmanager:keys/{{user}}'{more}}}\n"
            for account, more in ((HOME, ""), (ONE, ", store_account: central"))
        )
        fleet.configure(home, f"machine_users:\n{entries}")
        ran = twokey("rotate", "--account", "one")
        assert ran.code == 2
        assert f"a user of the account {ONE} and a user of the account {HOME}" in ran.err
        assert fleet.aws.count("sts:AssumeRole") == 0

    def test_refuses_a_name_that_two_accounts_have(self, fleet: Fleet) -> None:
        fleet.configure(LIST.replace("other", "One"), CENTRAL.replace("{account}", "{account_name}"))
        ran = twokey("plan")
        assert ran.code == 2
        assert f"One ({OTHER})" in ran.err
        assert "would share" in ran.err


class TestEntries:
    def test_choose_accounts_by_unit_tag_and_name(self, fleet: Fleet) -> None:
        unit = fleet.aws.organization().unit("prod")
        fleet.account(ONE, "one", "ci", parent=unit)
        fleet.account(OTHER, "other", "ci", tags={"stage": "test"})
        fleet.configure(
            ORGANIZATION,
            f"machine_users:\n  - {{path: /machine-users/, accounts: [{{ou: {unit}}}], "
            "store: 'secretsmanager:machine-users/{user}'}\n"
            "  - {path: /machine-users/, accounts: [{tag: {stage: test}}, gone-*], store: 'ssm:/{user}'}\n",
        )
        ran = twokey("plan", "--json")
        assert {key: one["destinations"][0]["destination"] for key, one in found(ran).items()} == {
            (ONE, "ci"): "secretsmanager:machine-users/ci",
            (OTHER, "ci"): "ssm:/ci",
        }
        assert "none of the accounts is chosen by gone-*" in ran.err

    @pytest.mark.parametrize(
        "command", ["rotate", "plan", "status", "deliver --to ssm:/x", "adopt", "audit", "revoke --all --yes"]
    )
    def test_of_an_empty_name_are_refused_and_not_taken_for_all(self, fleet: Fleet, command: str) -> None:
        fleet.configure(LIST)
        ran = twokey(*command.split(), "--account", "")
        assert ran.code == 2
        assert "--account: the name is empty." in ran.err
        with pytest.raises(api.UsageError, match="the name is empty"):
            api.rotate(api.load(), account=["one", " "])
        assert fleet.aws.requests == []

    def test_refuses_two_that_select_one_user(self, fleet: Fleet) -> None:
        for account in (ONE, OTHER):
            fleet.role(account)
            fleet.user(account, "ci")
        second = MACHINE_USERS.replace("machine_users:", "").replace("    store", "    accounts: [other]\n    store")
        fleet.configure(LIST, MACHINE_USERS + second)
        ran = twokey("rotate")
        assert ran.code == 2
        assert (
            f"twokey.yaml line 13: `store`: The user ci of the account other ({OTHER}) is selected twice: for "
            "secretsmanager:machine-users/ci (twokey.yaml line 8) and for secretsmanager:machine-users/ci."
        ) in ran.err
        assert fleet.aws.count("iam:CreateAccessKey") == 0

    def test_finds_a_named_user_in_the_accounts_that_have_it(self, fleet: Fleet) -> None:
        for account in (ONE, OTHER):
            fleet.role(account)
        fleet.user(ONE, "ci")
        fleet.configure(LIST)
        assert set(found(twokey("plan", "ci", "--json"))) == {(ONE, "ci")}
        ran = twokey("plan", "gone", "--json")
        assert ran.code == 1
        assert [one["user"] for one in ran.document["results"]] == ["gone"]


class TestAnOrganizationThatCannotBeListed:
    """It is one error, before anything is changed, whichever command asks."""

    @pytest.mark.parametrize("command", ["rotate", "plan", "status", "adopt", "audit", "revoke ci --account one --yes"])
    def test_has_no_unit_of_that_id(self, fleet: Fleet, command: str) -> None:
        fleet.account(ONE, "one", "ci")
        fleet.configure("{organizations: {role: TwokeyMember, ou: ou-ab12-34cd56ef}}")
        ran = twokey(*command.split())
        assert (ran.code, ran.out) == (1, "")
        assert ran.err.startswith("Error: The organization has no organizational unit ou-ab12-34cd56ef.\n")
        assert "Nothing was changed." in ran.err
        assert "aws organizations list-organizational-units-for-parent" in ran.err
        assert fleet.aws.count("sts:AssumeRole") == 0

    def test_may_only_be_read_by_others(self, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
        fleet.account(ONE, "one", "ci")
        [key] = fleet.aws.make_user("rotator", path="/ops/", keys=1)
        for name, value in fleet.aws.environment(key).items():
            monkeypatch.setenv(name, value)
        fleet.configure(ORGANIZATION)
        for command in ("rotate", "status"):
            ran = twokey(command)
            assert (ran.code, ran.out) == (1, "")
            assert ran.err.startswith("Error: Access denied: organizations:ListRoots on ")
            assert "Nothing was changed." in ran.err
            assert "Or list the accounts in twokey.yaml." in ran.err
        assert fleet.aws.count("sts:AssumeRole") == 0


class TestAnAccountThatCannotBeReached:
    def test_is_one_line_and_stops_no_other(self, fleet: Fleet) -> None:
        broken = {f"{number}" * 12: why for number, why in enumerate(["missing", "untrusting", "region", "denied"], 4)}
        ids = dict(zip(broken.values(), broken, strict=True))
        fleet.account(ONE, "one", "ci", "site")
        for account, name in broken.items():
            fleet.account(account, name, "ci", "site", role=name in ("region", "denied"))
        fleet.role(ids["untrusting"], trusted=f"arn:aws:iam::{OTHER}:root")
        fleet.aws.weather.disabled_regions = {f"{ids['region']}/eu-central-1"}
        iam = fleet.aws.client("iam", fleet.aws.admin_of(ids["denied"]))
        nothing = policy({"Effect": "Deny", "Action": "iam:ListUsers", "Resource": "*"})
        iam.put_role_policy(RoleName=ROLE, PolicyName="nothing", PolicyDocument=nothing)
        fleet.configure(ORGANIZATION)
        ran = twokey("rotate")
        assert ran.code == 1
        lines = {line.split(":")[0]: line for line in ran.out.splitlines() if line[:12].isdigit()}
        assert {lines[f"{ONE}/{user}"].split(" ")[1] for user in ("ci", "site")} == {"rotated"}
        for account, name in broken.items():
            assert f"The account {name} ({account}) is left out: " in lines[account]
        assert len(lines) == 2 + len(broken)
        assert "no role" in lines[ids["missing"]] or "may not assume the role" in lines[ids["missing"]]
        assert "trust policy" in lines[ids["untrusting"]]
        assert "region eu-central-1" in lines[ids["region"]]
        assert "iam:ListUsers" in lines[ids["denied"]]
        assert {fleet.aws.count("iam:CreateAccessKey")} == {2}

    @pytest.mark.parametrize(
        ("operation", "code", "status", "hint"),
        [
            # What AWS responds for a suspended account: STS does not say why; an open session ends at other services.
            ("sts:AssumeRole", "AccessDenied", 403, "suspended"),
            ("iam:ListUsers", "OptInRequired", 403, "suspended"),
            ("sts:AssumeRole", "Throttling", 400, "throttle"),
            ("iam:*", "Throttling", 400, "throttle"),
        ],
    )
    def test_during_the_whole_run(
        self, fleet: Fleet, monkeypatch: pytest.MonkeyPatch, operation: str, code: str, status: int, hint: str
    ) -> None:
        monkeypatch.setattr(iam_calls, "PATIENCE", 0.05)
        for account in (ONE, OTHER):
            fleet.role(account)
            fleet.user(account, "ci")
        rule = Rule(operation, times=None, effect="error_before", status=status, code=code, message="Refused.")
        if operation == "sts:AssumeRole":  # twokey's own account asks for it
            rule.target = f"*:{ONE}:role/*"
        else:
            rule.account = ONE
        fleet.aws.weather.add(rule)
        fleet.configure(LIST)
        ran = twokey("rotate")
        assert ran.code == 1
        [line] = [line for line in ran.out.splitlines() if line.startswith(ONE)]
        assert line.startswith(f"{ONE}: failed (error). The account one ({ONE}) is left out: ")
        assert hint in line
        assert "Nothing was changed in it." in line
        assert fleet.held(OTHER) == fleet.ids(OTHER)[-1]
        assert fleet.aws.count("iam:CreateAccessKey") == 1

    def test_of_a_list_without_a_role(self, fleet: Fleet) -> None:
        fleet.configure(f'{{list: [{{id: "{HOME}"}}, {{id: "{ONE}", name: one}}]}}')
        fleet.user(HOME, "ci")
        results = found(twokey("plan", "--json"))
        assert results[HOME, "ci"]["outcome"] == "rotated"
        assert "has no role" in results[ONE, ""]["message"]
        assert results[ONE, ""]["message"].count(ONE) == 1


def test_other_commands_fill_in_the_name_of_the_account(fleet: Fleet) -> None:
    fleet.user(HOME, "ci", store="keys/home/{user}")
    accounts = f'{{list: [{{id: "{HOME}", name: home}}, {{id: "{ONE}", name: one, role: {ROLE}}}]}}'
    fleet.configure(accounts, CENTRAL.replace("{account}/", "keys/{account_name}/"))
    linted = twokey("lint")
    assert linted.code == 0
    assert "Warning: only the account that twokey runs in is read, not the others of twokey.yaml." in linted.err
    ran = twokey("env", "ci", "--format", "env")
    assert fleet.held(HOME, "keys/home/ci") in ran.out


class TestRevoke:
    @pytest.fixture
    def leaked(self, fleet: Fleet) -> str:
        """Return CURRENT of a user that both accounts have."""
        for account in (ONE, OTHER):
            fleet.role(account)
            fleet.user(account, "ci")
        fleet.configure(LIST)
        return fleet.held(OTHER)

    @pytest.mark.parametrize("by_id", [True, False])
    def test_stops_a_key_in_its_account_and_replaces_it_there(self, fleet: Fleet, leaked: str, *, by_id: bool) -> None:
        others = fleet.ids(ONE)
        target = [leaked] if by_id else ["ci", "--account", "other"]
        ran = twokey("revoke", *target, "--yes", "--keep-sessions", "--json")
        result = found(ran)[OTHER, "ci"]
        assert result["outcome"] == "revoked", ran.out
        assert fleet.states(OTHER)[leaked] == "Inactive"
        assert fleet.held(OTHER) == result["current"] != leaked
        assert fleet.ids(ONE) == others
        assert fleet.held(ONE) == others[-1]

    @pytest.mark.parametrize("more", [(), ("--account", "other")])
    @pytest.mark.parametrize("listed", [LIST, f'{{list: [{{id: "{OTHER}", name: other, role: {ROLE}}}]}}'])
    def test_takes_a_key_of_twokeys_own_account_for_none_of_a_user_of_that_name_elsewhere(
        self, fleet: Fleet, leaked: str, listed: str, more: tuple[str, ...]
    ) -> None:
        """It is Inactive before the account that the run works in is chosen."""
        fleet.configure(listed)
        own = fleet.user(HOME, "ci")[1].access_key_id
        before = {account: fleet.states(account) for account in (ONE, OTHER)}
        ran = twokey("revoke", own, *more, "--yes", "--json")
        assert ran.code == 1
        [(whose, result)] = found(ran).items()
        assert (whose, result["outcome"]) == ((HOME, "ci"), "contained")
        assert [one["key"] for one in result["contained"]] == [own]
        assert "No entry of the configuration covers the user ci." in result["message"]
        assert [one["role"] for one in result["sessions"]] == [f"arn:aws:iam::{HOME}:user/machine-users/ci"]
        assert fleet.states(HOME)[own] == "Inactive"
        assert {account: fleet.states(account) for account in (ONE, OTHER)} == before
        assert leaked == fleet.held(OTHER)

    def test_replaces_a_key_of_twokeys_own_account_unless_the_operator_leaves_that_out(
        self, fleet: Fleet, leaked: str
    ) -> None:
        fleet.configure(f'{{list: [{{id: "{HOME}", name: home}}, {LIST.partition("[")[2]}')
        own = fleet.user(HOME, "ci")[1].access_key_id
        ran = twokey("revoke", own, "--account", "other", "--yes", "--json")
        result = found(ran)[HOME, "ci"]
        assert (ran.code, result["outcome"], fleet.held(HOME)) == (1, "contained", own)
        assert f"--account leaves out the account home ({HOME}), which the leaked key belongs to." in result["message"]
        ran = twokey("revoke", own, leaked, "--yes", "--json")
        results = found(ran)
        assert (ran.code, results[HOME, "ci"]["outcome"]) == (1, "revoked")
        assert fleet.held(HOME) == results[HOME, "ci"]["current"] != own
        assert f"By its ID, the key belongs to account {OTHER}." in results["", ""]["message"]
        assert fleet.states(OTHER)[leaked] == "Active"

    @pytest.mark.parametrize("what", [("ci", "--yes"), ("--all", "--yes"), ("--lift",)])
    def test_names_the_command_for_each_account_where_that_is_not_clear(
        self, fleet: Fleet, leaked: str, monkeypatch: pytest.MonkeyPatch, what: tuple[str, ...]
    ) -> None:
        monkeypatch.setattr(sys, "argv", ["twokey", "revoke", *what])
        ran = twokey("revoke", *what)
        assert ran.code == 2
        for account in (ONE, OTHER):
            assert f"twokey revoke --account {account} {' '.join(what)}" in ran.err or (
                f"twokey revoke --lift --account {account}" in ran.err
            )
        assert leaked == fleet.held(OTHER)
        assert fleet.aws.count("iam:UpdateAccessKey") == 0

    def test_lifts_what_ended_sessions_in_the_account_that_is_chosen(self, fleet: Fleet, leaked: str) -> None:
        assert twokey("revoke", leaked, "--yes").code == 0
        assert "nothing to lift" in twokey("revoke", "--lift", "--account", "one").err
        ran = twokey("revoke", "--lift", "--account", "other", "--json")
        assert ran.code == 3, "the sessions may not be over yet"
        assert "of the user ci" in ran.out

    def test_stops_a_key_where_the_region_of_the_stores_is_not_enabled(self, fleet: Fleet, leaked: str) -> None:
        fleet.aws.weather.disabled_regions = {f"{OTHER}/eu-central-1"}
        ran = twokey("revoke", "ci", "--account", "other", "--yes", "--keep-sessions")
        assert ran.code == 3
        assert f"The account other ({OTHER}): The region eu-central-1, in which its stores are" in ran.out
        assert f"Name the key: twokey revoke {fleet.ids(OTHER)[0]}, or twokey revoke {leaked}" in ran.out
        ran = twokey("revoke", leaked, "--yes", "--keep-sessions")
        assert ran.code == 1
        assert "ci: contained" in ran.out
        assert "Enable eu-central-1 in the account" in ran.out
        assert fleet.states(OTHER)[leaked] == "Inactive"

    def test_says_that_nothing_was_changed_where_the_role_cannot_be_assumed(self, fleet: Fleet, leaked: str) -> None:
        iam = fleet.aws.client("iam", fleet.aws.admin_of(OTHER))
        iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=policy(NOBODY))
        ran = twokey("revoke", leaked, "--yes")
        assert ran.code == 1
        assert f"twokey cannot act in the account other ({OTHER}): " in ran.err
        assert "Nothing was changed." in ran.err


class TestMoveStore:
    def test_moves_the_users_of_the_account_that_is_chosen(self, fleet: Fleet) -> None:
        for account in (ONE, OTHER):
            fleet.role(account)
            fleet.user(account, "ci")
        fleet.configure(LIST)
        ran = twokey("move-store", "--account", "one", "--to", "ssm:/keys/{user}", "--json")
        assert ran.code == 0, ran.out
        assert {key: one["outcome"] for key, one in found(ran).items()} == {(ONE, "ci"): "completed"}
        refused = found(twokey("plan", "--json"))
        assert refused[ONE, "ci"]["reason"] == "moved"
        assert refused[OTHER, "ci"]["reason"] == "due"

    def test_refuses_a_store_that_two_accounts_would_share(self, fleet: Fleet) -> None:
        fleet.configure(LIST, CENTRAL)
        ran = twokey("move-store", "--account", "one", "--to", "ssm:/keys/{user}")
        assert ran.code == 2
        assert "--to: 'ssm:/keys/{user}' would be the same for users of one name in two accounts." in ran.err
        assert fleet.aws.requests == []


def test_an_audit_has_the_users_of_all_accounts_and_says_which_it_could_not_read(fleet: Fleet) -> None:
    for account in (ONE, OTHER):
        fleet.role(account)
        fleet.user(account, "ci")
    fleet.configure(LIST)
    assert twokey("rotate").code == 0
    for account in (ONE, OTHER):
        fleet.aws.client("iam", fleet.aws.admin_of(account)).generate_credential_report()
    ran = twokey("audit", "--path", "/machine-users/", "--json")
    roles = {(key["account"], key["user"], key["role"]) for key in ran.document["keys"]}
    assert roles == {(account, "ci", role) for account in (ONE, OTHER) for role in ("current", "last")}
    assert f"{OTHER}/ci: CURRENT" in twokey("audit", "--path", "/machine-users/").out
    fleet.aws.client("iam", fleet.aws.admin_of(OTHER)).delete_role_policy(RoleName=ROLE, PolicyName="all")
    ran = twokey("audit", "--path", "/machine-users/", "--json")
    assert ran.code == 1
    assert {key["account"] for key in ran.document["keys"]} == {ONE}
    assert f"The account other ({OTHER}) is left out" in ran.document["warnings"][0]
    assert {key.account for key in api.audit(api.load(), account="one", path="/machine-users/").keys} == {ONE}
    assert f"1 user with 2 keys in account {ONE}" in twokey("audit", "--path", "/machine-users/").err


def test_the_policies_that_twokey_prints_suffice(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.account(ONE, "one", tags={"stage": "prod"})
    fleet.aws.make_user("ci", keys=1, ages=(20 * 86_400,), account=ONE)
    entry = CENTRAL + "    deliver: ['ssm:/keys/{user}']\n    deliver_account: member\n"
    fleet.configure(ORGANIZATION, entry + "    accounts: [{tag: {stage: prod}}]\n")
    member = twokey("policy", "rotator", "--member", "--command", "rotate", "--quiet").out
    home = twokey("policy", "rotator", "--command", "rotate", "--quiet").out
    of_one = fleet.aws.client("iam", fleet.aws.admin_of(ONE))
    of_one.put_role_policy(RoleName=ROLE, PolicyName="all", PolicyDocument=member)
    [key] = fleet.aws.make_user("rotator", path="/ops/", keys=1)
    iam = fleet.aws.client("iam")
    iam.put_user_policy(UserName="rotator", PolicyName="twokey", PolicyDocument=home)
    for name, value in fleet.aws.environment(key).items():
        monkeypatch.setenv(name, value)
    ran = twokey("rotate", "--json")
    assert found(ran)[ONE, "ci"]["outcome"] == "rotated", ran.out
    assert fleet.held(HOME, f"{ONE}/ci") == fleet.ids(ONE)[-1]
    # Each policy is needed: the role may not write the central store, and twokey itself not the users of the account.
    assert "secretsmanager" not in member
    assert ONE not in home


def test_the_policy_of_a_list_has_its_roles_alone(fleet: Fleet) -> None:
    fleet.configure(LIST.replace("}]}", "}], session_tags: {a: b}}"), CENTRAL)
    statements = json.loads(twokey("policy", "rotator", "--command", "rotate", "--quiet").out)["Statement"]
    by_sid = {one["Sid"]: one for one in statements}
    assert by_sid["AssumeRoles"]["Action"] == ["sts:AssumeRole", "sts:TagSession"]
    assert by_sid["AssumeRoles"]["Resource"] == [f"arn:aws:iam::{account}:role/{ROLE}" for account in (ONE, OTHER)]
    assert set(by_sid) == {"StoreSecretsmanager", "AssumeRoles"}


def test_credentials_that_aws_does_not_accept_are_one_error(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.configure(LIST)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    ran = twokey("plan")
    assert ran.code == 1
    assert ran.out == ""
    assert "AWS does not know the credentials" in ran.err
    assert fleet.aws.count("sts:AssumeRole") == 0


class TestRoles:
    def test_have_an_external_id_and_session_tags(self, fleet: Fleet) -> None:
        fleet.user(ONE, "ci")
        condition = {"StringEquals": {"sts:ExternalId": "acme", "aws:RequestTag/tool": "twokey"}}
        fleet.role(ONE, condition)
        more = "external_id: acme, session_tags: {tool: twokey}"
        only = f'list: [{{id: "{ONE}", role: {ROLE}}}]'
        fleet.configure(f"{{{only}, {more}}}")
        assert found(twokey("plan", "--json"))[ONE, "ci"]["outcome"] == "rotated"
        fleet.configure(f"{{{only}}}")
        message = found(twokey("plan", "--json"))[ONE, ""]["message"]
        assert "`external_id` below accounts:" in message

    def test_come_from_the_file_of_cloud_custodian(self, fleet: Fleet, tmp_path: Path) -> None:
        fleet.role(ONE)
        fleet.user(ONE, "ci")
        account = {
            "account_id": ONE,
            "name": "one",
            "role": f"arn:aws:iam::{ONE}:role/{ROLE}",
            "tags": ["type:prod", "critical"],
            "regions": ["eu-central-1"],
            "vars": {"charge_code": "x"},
        }
        (tmp_path / "accounts.yml").write_text(json.dumps({"vars": {}, "accounts": [account]}))
        entry = MACHINE_USERS + "    accounts: [{tag: {type: prod}}]\n"
        fleet.configure("{file: accounts.yml}", entry)
        assert set(found(twokey("plan", "--json"))) == {(ONE, "ci")}

    def test_sign_each_request_for_its_own_account(self, fleet: Fleet, rig: Rig) -> None:
        fleet.role(ONE)
        fleet.role(OTHER)
        shared = rig.clients()
        for _ in range(2):
            for account in (ONE, OTHER):
                member = MemberClients(
                    shared, Account(account, roles=(AccountRole(ROLE),)), Sessions(shared), lambda: "aws"
                )
                assert member.send("sts", "GetCallerIdentity", {})["Account"] == account
            assert shared.send("sts", "GetCallerIdentity", {})["Account"] == HOME

    def test_are_assumed_again_before_the_session_ends_with_the_clients_that_are_there(
        self, fleet: Fleet, rig: Rig
    ) -> None:
        fleet.role(ONE)
        shared = rig.clients()
        account = Account(ONE, roles=(AccountRole(ROLE),))
        members = [MemberClients(shared, account, Sessions(shared), lambda: "aws") for _ in range(3)]
        for member in members:
            assert [user.account for user in Iam(member).users("/admin/")] == [ONE]
        assert len({key[0] for key in shared._clients}) == len(shared._clients) == 2
        first = members[0].own_key()
        rig.sleep_through(2640)
        assert members[0].own_key() == first
        rig.sleep_through(120)
        second = members[0].own_key()
        assert second != first
        assert members[0].credentials_left() > timedelta(minutes=59).total_seconds()
        # A renewal that fails counts only once the session has ended.
        rig.aws.client("iam", rig.aws.admin_of(ONE)).update_assume_role_policy(
            RoleName=ROLE, PolicyDocument=policy(NOBODY)
        )
        rig.sleep_through(3000)
        assert members[0].own_key() == second
        rig.sleep_through(900)
        with pytest.raises(TwokeyError, match="may not assume the role"):
            members[0].own_key()
