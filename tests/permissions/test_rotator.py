"""The rotator's policy is enough for each command, and each of its actions is needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support import drop_in_runs
from support.commands import twokey
from support.roles import make_role
from support.roles import policy as allowing
from support.store_faults import user_with
from twokey.drop_in import PERMISSIONS
from twokey.permissions import rotator

if TYPE_CHECKING:
    from support.rig import Rig

DAY = 86_400.0
IAM_WRITES = ("iam:GetAccessKeyLastUsed", "iam:CreateAccessKey", "iam:DeleteAccessKey")
"""What a rotation needs, which comes only after every destination holds CURRENT."""
CONFIG = """
version: 1
machine_users:
  - users: [%(user)s]
    store: ssm:/stores/{user}?tag.team=infra
    lock: s3:twokey-locks/{user}
    deliver:
      - secretsmanager:others/{user}?tag.team=infra&replica=eu-west-1
      - secretsmanager:existing/{user}
      - ssm:/others/{user}
"""


BELOW_A_PATH = """
version: 1
soak: 1d
machine_users:
  - path: /paths/
    store: ssm:/stores/{user}
"""


def policy(*arguments: str) -> dict[str, Any]:
    """The document that the command prints."""
    ran = twokey("policy", "rotator", "-q", *arguments)
    assert (ran.code, ran.err) == (0, "")
    return dict(ran.document)


def actions(document: dict[str, Any]) -> list[str]:
    """Every action of a document."""
    found: dict[str, None] = {}
    for statement in document["Statement"]:
        names = statement["Action"]
        found |= dict.fromkeys([names] if isinstance(names, str) else names)
    return list(found)


def without(document: dict[str, Any], action: str) -> str:
    """The document without one action."""
    statements = []
    for one in document["Statement"]:
        names = [one["Action"]] if isinstance(one["Action"], str) else one["Action"]
        kept = [name for name in names if name != action]
        if kept:
            statements.append({**one, "Action": kept})
    harmless = {"Effect": "Allow", "Action": "sts:GetCallerIdentity", "Resource": "*"}
    return json.dumps({**document, "Statement": statements or [harmless]})


class Installation:
    """Users with two keys, the newer of which the store holds, and a principal with just a policy."""

    def __init__(self, rig: Rig, folder: Path) -> None:
        self.rig = rig
        self.folder = folder
        self.policies: dict[tuple[str, ...], dict[str, Any]] = {}
        self.users = 0
        self._make_bucket()

    def begin_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Empty the account, of which some commands read everything: it would grow with each run."""
        self.rig.aws.stop()
        for name, value in self.rig.aws.start().environment().items():
            monkeypatch.setenv(name, value)
        self.users = 0
        self.folder.joinpath("gone.json").unlink(missing_ok=True)
        self._make_bucket()

    def _make_bucket(self) -> None:
        location = {"LocationConstraint": "eu-central-1"}
        self.rig.aws.client("s3").create_bucket(Bucket="twokey-locks", CreateBucketConfiguration=location)

    def user(self, *, deliver: bool) -> str:
        """Create the next user, and configure it; without destinations, a rotation is due at once."""
        self.users += 1
        name = f"ci{self.users}"
        pairs = self.rig.aws.make_user(name, path="/paths/deeper/", keys=2, ages=(40 * DAY, 16 * DAY))
        self.rig.aws.client("ssm").put_parameter(
            Name=f"/stores/{name}",
            Type="SecureString",
            Value=json.dumps({"AccessKeyId": pairs[1].access_key_id, "SecretAccessKey": pairs[1].secret_access_key}),
        )
        self.rig.aws.client("secretsmanager").create_secret(Name=f"existing/{name}", SecretString="{}")
        self.folder.joinpath("twokey.yaml").write_text(
            (CONFIG if deliver else CONFIG.partition("    deliver")[0]) % {"user": name}, encoding="utf-8"
        )
        return name

    def policy(self, *arguments: str, deliver: bool) -> dict[str, Any]:
        """The document that the command prints, which is always the same for the first user of an empty account."""
        key = (str(self.users), str(deliver), *arguments)
        if key not in self.policies:
            self.policies[key] = policy(*arguments)
        return dict(self.policies[key])

    def runs(self, document: str, *arguments: str) -> Any:
        """Run a command as a principal with this policy."""
        with pytest.MonkeyPatch.context() as environment:
            for name, value in self.rig.aws.environment(user_with(self.rig.aws, document)).items():
                environment.setenv(name, value)
            return twokey(*arguments)


@pytest.fixture
def installation(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    monkeypatch.chdir(tmp_path)
    return Installation(rig, tmp_path)


NEW_STORE = "secretsmanager:moved/{user}?tag.team=infra"
RUNS = {
    "rotate": ("rotate", "{user}"),
    "revoke": ("revoke", "{user}", "--delete", "--yes"),
    "plan": ("plan", "{user}"),
    "status": ("status", "{user}"),
    "deliver": ("deliver", "{user}"),
    "adopt": ("adopt", "{user}", "--yes"),
    "forget": ("forget", "{user}", "--destination", "file:gone.json", "--yes"),
    "move-store": ("move-store", "{user}", "--to", NEW_STORE),
    "audit": ("audit", "--path", "/paths/"),
    "lint": ("lint", "{user}"),
    "advise": ("advise", "{user}", "--pipeline", ".gitlab-ci.yml"),
    "trace": ("trace", "{key}"),
    "watch": ("watch", "--scan", "leaked.env"),
}


READS_ON = ("plan", "status", "adopt", "forget", "lint", "trace")
"""Commands that go on where something cannot be read, and say so."""
IN_DOUBT = {
    "rotate": ("ssm:GetParameterHistory",),
    "deliver": ("ssm:GetParameterHistory",),
    "revoke": ("iam:DeleteUserPolicy", "iam:DeleteRolePolicy", "cloudtrail:LookupEvents"),
    "forget": ("ssm:GetParameterHistory", "ssm:AddTagsToResource", "s3:ListBucket", "secretsmanager:GetSecretValue"),
    "move-store": ("ssm:GetParameterHistory",),
    "audit": ("ssm:GetParameterHistory",),
    "trace": ("ssm:GetParameterHistory",),
}
"""Needed only if a response is lost, if the journal or lock is missing or has many versions, for other members of a
value, for --lift, or if the user has another key: tests/revocation/test_siblings.py."""


def ended(installation: Installation, command: str, missing: str = "") -> tuple[Any, dict[str, Any]]:
    """Run a command for the next user with the policy for it, without one action; return the end and the policy."""
    deliver = missing not in IAM_WRITES
    name = installation.user(deliver=deliver)
    document = installation.policy(name, "--command", command, deliver=deliver)
    if command == "move-store":
        target = installation.policy(name, "--store", NEW_STORE, "--command", command, deliver=deliver)
        added = [{**one, "Sid": f"New{one['Sid']}"} for one in target["Statement"]]
        document["Statement"] = document["Statement"] + added
    if command == "forget":
        assert twokey("deliver", name, "--to", "file:gone.json", "--unmanaged").code == 0
    if command == "revoke":
        arn = f"arn:aws:iam::{installation.rig.aws.account_id}:user/paths/deeper/{name}"
        make_role(installation.rig.aws, f"role-of-{name}", arn)
        bounded = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
        iam = installation.rig.aws.client("iam")
        iam.put_role_policy(RoleName=f"role-of-{name}", PolicyName="all", PolicyDocument=allowing(bounded))
    if command == "advise":
        Path(".gitlab-ci.yml").write_text("deploy:\n  script: [make]\n", encoding="utf-8")
    if command == "watch":
        Path("leaked.env").write_text(installation.rig.ids(name)[0], encoding="utf-8")
    if command in ("audit", "lint"):
        installation.rig.later(hours=5)  # until IAM makes another credential report
    if command == "trace":
        installation.rig.later(seconds=5)  # until CloudTrail answers again
    text = without(document, missing)
    key = installation.rig.ids(name)[-1]
    arguments = [one.replace("{user}", name).replace("{key}", key) for one in RUNS[command]]
    if command == "trace" and missing not in ("", "account:ListRegions"):
        arguments += ["--region", "us-east-1"]  # one client, not one for each region
    return installation.runs(text, *arguments), document


@pytest.mark.first
@pytest.mark.parametrize("command", RUNS)
def test_the_policy_is_enough_and_each_action_that_is_missing_is_named(
    installation: Installation, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran, document = ended(installation, command)
    assert ran.code == 0, ran
    unnamed = []
    for action in set(actions(document)) - set(IN_DOUBT.get(command, ())):
        installation.begin_again(monkeypatch)
        ran, _ = ended(installation, command, action)
        if action not in ran.out + ran.err or not (ran.code or command in READS_ON):
            unnamed.append((action, ran.out + ran.err))
    assert unnamed == []


def test_the_policy_of_an_audit_alone_has_the_list_of_all_secrets(installation: Installation) -> None:
    installation.user(deliver=True)
    store = ("ci1", "--store", "secretsmanager:stores/{user}", "--command")
    listing = [one for one in policy(*store, "audit")["Statement"] if one["Action"] == "secretsmanager:ListSecrets"]
    assert [one["Resource"] for one in listing] == ["*"]
    assert [name for name in rotator.DEFAULT if "secretsmanager:ListSecrets" in actions(policy(*store, name))] == []


@pytest.mark.parametrize("missing", ["", "iam:DeleteUserPolicy", "iam:DeleteRolePolicy"])
def test_the_policy_of_revoke_is_enough_to_lift_what_ended_sessions(installation: Installation, missing: str) -> None:
    ran, document = ended(installation, "revoke")
    assert ran.code == 0, ran
    installation.rig.later(hours=37)
    ran = installation.runs(without(document, missing), "revoke", "--lift")
    assert (ran.code, missing in ran.out) == (1 if missing else 0, True), ran


def test_split_is_the_policy_of_each_command(installation: Installation) -> None:
    installation.user(deliver=True)
    assert policy("--split") == {name: policy("--command", name) for name in rotator.DEFAULT}


@pytest.mark.parametrize("missing", ["", "iam:GetAccessKeyLastUsed", "iam:ListAccessKeys", "s3:GetObject"])
def test_the_policy_for_a_file_of_terraform_is_enough_and_each_action_that_is_missing_is_named(
    installation: Installation, missing: str
) -> None:
    aws = installation.rig.aws
    [pair] = aws.make_user("elsewhere", path="/", keys=1)
    output = {"k": {"value": [pair.access_key_id, pair.secret_access_key]}}
    state = json.dumps({"version": 4, "outputs": output})
    aws.client("s3").put_object(Bucket="twokey-locks", Key="a.tfstate", Body=state.encode())
    installation.folder.joinpath("twokey.yaml").write_text(BELOW_A_PATH, encoding="utf-8")
    document = policy("--command", "audit", "--state", "s3://twokey-locks/a.tfstate")
    ran = installation.runs(without(document, missing), "audit", "--json", "--state", "s3://twokey-locks/a.tfstate")
    assert (ran.code == 0) == (not missing), ran.err
    assert missing in ran.err
    if not missing:
        assert "TK731" in {one["id"] for one in ran.document["findings"]}


@pytest.mark.parametrize("command", ["rotator", "drop-in"])
def test_without_credentials_the_option_is_named_that_needs_none(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    options = {
        "rotator": ("ci", "--store", "ssm:/k/{user}", "--region", "eu-central-1"),
        "drop-in": ("/machine-users/",),
    }
    ran = twokey("policy", command, *options[command])
    assert ran.code == 1
    assert "No AWS credentials were found" in ran.err
    assert " ".join(ran.err.split()).endswith("or a role. Or name the account: --account ID.")
    assert twokey("policy", command, *options[command], "--account", "123456789012").code == 0


def test_a_file_of_terraform_is_for_audit_only(installation: Installation) -> None:
    installation.folder.joinpath("twokey.yaml").write_text(BELOW_A_PATH, encoding="utf-8")
    ran = twokey("policy", "rotator", "--state", "a.tfstate")
    assert ran.code == 2
    assert "--state: only audit reads it. Add --command audit." in " ".join(ran.err.split())


@pytest.mark.parametrize("missing", ["", "iam:ListUsers", "iam:UpdateAccessKey"])
def test_users_below_a_path_are_listed_and_with_a_soak_last_is_deactivated(
    installation: Installation, missing: str
) -> None:
    installation.user(deliver=False)
    Path("twokey.yaml").write_text(BELOW_A_PATH, encoding="utf-8")
    document = policy("--command", "rotate")
    assert {"iam:ListUsers", "iam:UpdateAccessKey"} < set(actions(document))
    assert "iam:GetUser" not in actions(document)
    ran = installation.runs(without(document, missing), "rotate")
    assert (ran.code == 0) == (not missing)
    assert missing in ran.out + ran.err


SOURCE = "secretsmanager:legacy/{user}"


def taken_over(installation: Installation, missing: str) -> tuple[Any, dict[str, Any]]:
    """Adopt a user whose credential is elsewhere, with the policy for it without one action."""
    installation.users += 1
    name = f"old{installation.users}"
    pair = installation.rig.aws.make_user(name, path="/paths/", keys=1)[0]
    value = json.dumps({"AccessKeyId": pair.access_key_id, "SecretAccessKey": pair.secret_access_key})
    installation.rig.aws.client("secretsmanager").create_secret(Name=f"legacy/{name}", SecretString=value)
    document = policy(name, "--command", "adopt", "--from", SOURCE)
    return installation.runs(without(document, missing), "adopt", name, "--from", SOURCE, "--yes"), document


def test_adopt_from_elsewhere_needs_to_read_there_and_each_action_that_is_missing_is_named(
    installation: Installation,
) -> None:
    Path("twokey.yaml").write_text(BELOW_A_PATH.replace("soak: 1d", ""), encoding="utf-8")
    ran, document = taken_over(installation, "")
    assert ran.code == 0, ran
    assert "secretsmanager:GetSecretValue" in actions(document)
    for action in set(actions(document)) - {"ssm:GetParameterHistory"}:  # for a journal of many versions
        ran, _ = taken_over(installation, action)
        assert action in ran.out + ran.err, action


def test_a_source_without_adopt_is_a_mistake() -> None:
    ran = twokey(
        "policy", "rotator", "--store", "ssm:/a/{user}", "--path", "/a/", "--command", "plan", "--from", SOURCE
    )
    assert (ran.code, "--from is for adopt." in ran.err) == (2, True)


class TestTheDropIn:
    def rotated(self, installation: Installation, missing: str) -> tuple[drop_in_runs.Answer, dict[str, Any]]:
        """Run iam-credential-rotation for the next path, with the policy for it without one action."""
        installation.users += 1
        path = f"/old{installation.users}/"
        aws = installation.rig.aws
        aws.make_user(f"old{installation.users}", path=path, keys=2, ages=(40 * DAY, 16 * DAY))
        caller = f"caller{installation.users}"
        key = aws.make_user(caller, keys=1)[0]
        arn = aws.client("iam").get_user(UserName=caller)["User"]["Arn"]
        ran = twokey("policy", "drop-in", path, "-q", "--principal", arn)
        assert (ran.code, ran.err) == (0, "")
        document = dict(ran.document)
        text = without(document, missing)
        aws.client("iam").put_user_policy(UserName=caller, PolicyName="only", PolicyDocument=text)
        return drop_in_runs.run(aws, installation.folder, path, **aws.environment(key)), document

    def test_has_a_policy_that_is_enough_and_each_action_that_is_missing_is_named(
        self, installation: Installation
    ) -> None:
        ran, document = self.rotated(installation, "")
        assert (ran.code, ran.err) == (0, "")
        for action in actions(document):
            ran, _ = self.rotated(installation, action)
            # Without the simulator, the first creation shows whether it is allowed.
            if action != "iam:SimulatePrincipalPolicy":
                assert action in ran.err, action
            assert ran.code == (0 if action in PERMISSIONS["better with"] else 1)

    def test_needs_the_path_of_machine_users(self) -> None:
        ran = twokey("policy", "drop-in", "/", "--account", "123456789012")
        assert (ran.code, "selects every user of the account" in ran.err) == (2, True)


def test_every_command_that_calls_aws_for_users_has_a_policy() -> None:
    assert set(RUNS) == set(rotator.COMMANDS)
