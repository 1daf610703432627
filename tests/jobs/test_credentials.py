"""Where a job's credentials come from, the roles it assumes, and why it does not get them."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.commands import twokey
from support.rig import DAY
from support.roles import file_store, make_role, policy
from twokey.aws.clock import ServiceClock
from twokey.destinations.local.local_paths import JOURNAL
from twokey.emulator import KeyPair

if TYPE_CHECKING:
    from pathlib import Path

    from support.rig import Rig

STORE = ("--store", "secretsmanager:machine-users/ci")
OTHER = "210987654321"


def provided(*arguments: str) -> dict[str, Any]:
    """Return what ``credential-process`` prints."""
    ran = twokey("credential-process", *arguments)
    assert ran.code == 0, ran.err
    found: dict[str, Any] = ran.document
    return found


def who(rig: Rig, document: dict[str, Any]) -> str:
    """Return the ARN that the credentials authenticate as."""
    key = KeyPair(document["AccessKeyId"], document["SecretAccessKey"], document.get("SessionToken"))
    arn: str = rig.aws.client("sts", key).get_caller_identity()["Arn"]
    return arn


def left(rig: Rig, document: dict[str, Any]) -> timedelta:
    """Return for how long the credentials are to be used."""
    return datetime.fromisoformat(document["Expiration"]) - rig.aws.now()


def configured(folder: Path, *lines: str, users: str = "path: /machine-users/") -> tuple[str, str]:
    """Write a configuration file; return the options that name it."""
    file = folder / "twokey.yaml"
    entry = f"machine_users:\n  - {users}\n    store: secretsmanager:machine-users/{{user}}\n"
    file.write_text("\n".join(["version: 1", *lines, entry]))
    return "--config", str(file)


class TestWithoutARole:
    def test_current_is_provided_for_an_hour(self, rig: Rig) -> None:
        _, current = rig.settled()
        document = provided(*STORE)
        assert (document["AccessKeyId"], document["SecretAccessKey"]) == (
            current.access_key_id,
            current.secret_access_key,
        )
        assert list(document) == ["Version", "AccessKeyId", "SecretAccessKey", "Expiration"]
        assert timedelta(minutes=59) < left(rig, document) <= timedelta(hours=1)

    def test_a_user_is_found_in_the_configuration_without_asking_iam(self, rig: Rig, tmp_path: Path) -> None:
        rig.settled()
        rig.aws.clear_requests()
        assert who(rig, provided("ci", *configured(tmp_path))).endswith("/ci")
        assert rig.aws.count("iam:*") == 0

    def test_the_user_of_the_jobs_own_account_is_meant_where_several_accounts_have_one(
        self, rig: Rig, tmp_path: Path
    ) -> None:
        rig.settled()
        own = rig.aws.client("sts").get_caller_identity()["Account"]
        listed = [{"id": "210987654321", "role": "a"}, {"id": own}, {"id": "345678901234", "role": "a"}]
        config = {"version": 1, "accounts": {"list": listed}}

        def entry(account: str, store: str) -> dict[str, Any]:
            return {"users": ["ci"], "accounts": [account], "store": store, "store_account": "central"}

        elsewhere = [entry(one, f"secretsmanager:{one}/{{user}}") for one in ("210987654321", "345678901234")]
        file = tmp_path / "twokey.yaml"
        file.write_text(json.dumps({**config, "machine_users": [*elsewhere, entry(own, STORE[1])]}))
        assert who(rig, provided("ci", "--config", str(file))).endswith("/ci")
        file.write_text(json.dumps({**config, "machine_users": elsewhere}))
        ran = twokey("credential-process", "ci", "--config", str(file))
        assert ran.code == 2
        assert "no entry covers the user ci of the account that this job runs in." in ran.err

    def test_iam_is_asked_where_several_entries_may_cover_the_user(self, rig: Rig, tmp_path: Path) -> None:
        rig.settled()
        entry = "  - path: /others/\n    store: ssm:/others/{user}\n"
        config = configured(tmp_path)
        file = tmp_path / "twokey.yaml"
        file.write_text(file.read_text() + entry)
        assert who(rig, provided("ci", *config)).endswith("/ci")

    @pytest.mark.parametrize("configured_here", [True, False])
    def test_a_job_never_keeps_a_key_longer_than_grace_allows(
        self, rig: Rig, tmp_path: Path, configured_here: bool
    ) -> None:
        """The other time, the journal alone knows the grace."""
        rules = ("settle: 0s", "window: 1h", "verify: {successes: 2, interval: 0s, timeout: 30s}")
        config = configured(tmp_path, *rules)
        rig.aws.make_user("ci", keys=0)
        assert twokey("rotate", *config).code == 0
        grace = timedelta(hours=1) * 23 / 48
        document = provided("ci", *config) if configured_here else provided(*STORE)
        assert grace - timedelta(minutes=1) < left(rig, document) <= grace

    def test_where_grace_cannot_be_read_an_sdk_asks_again_at_every_use(self, rig: Rig, tmp_path: Path) -> None:
        _, current = rig.settled()
        store = file_store(current, tmp_path)
        (tmp_path / f"ci.json{JOURNAL}").write_text("not a journal")
        assert left(rig, provided("--store", store)) <= timedelta(minutes=1)

    def test_what_the_sdks_find_is_provided_too(self, rig: Rig) -> None:
        assert who(rig, provided()).endswith("/administrator")

    def test_that_of_a_file_needs_nothing_that_reaches_a_service(self, rig: Rig, tmp_path: Path) -> None:
        """A job waits for each module that is imported, and an SDK runs a ``credential_process`` again and again."""
        _, current = rig.settled()
        code = (
            "import sys; from twokey.cli.main import cli, guarded;"
            f"words = ['credential-process', '--store', {file_store(current, tmp_path)!r}];"
            "guarded(lambda standalone_mode: cli.main(words, standalone_mode=standalone_mode));"
            "print([m for m in ('botocore', 'urllib3', 'ssl', 'email', 'rich', 'yaml') if m in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert current.access_key_id in done.stdout
        assert done.stdout.rstrip().endswith("[]")

    def test_a_field_in_the_store_is_filled_in(self, rig: Rig) -> None:
        rig.settled()
        assert who(rig, provided("ci", "--store", "secretsmanager:machine-users/{user}")).endswith("/ci")


class TestRoles:
    def test_an_arn_and_a_name_in_the_keys_account_and_an_entry_of_the_configuration(
        self, rig: Rig, role: str, tmp_path: Path
    ) -> None:
        config = configured(tmp_path, "roles:", f"  short: {role}", f"  long: {{arn: '{role}', duration: 2h}}")
        for name in (role, "deploy", "short", "long"):
            document = provided("ci", *config, "--role", name)
            assert who(rig, document) == f"arn:aws:sts::{rig.aws.account_id}:assumed-role/deploy/twokey-ci"
            hours = 2 if name == "long" else 1
            assert timedelta(hours=hours, minutes=-1) < left(rig, document) <= timedelta(hours=hours)

    def test_one_is_assumed_without_reading_the_journal(self, rig: Rig, role: str) -> None:
        rig.aws.clear_requests()
        provided(*STORE, "--role", role)
        assert [f"{one.service}:{one.operation}" for one in rig.aws.requests] == [
            "secretsmanager:DescribeSecret",
            "secretsmanager:GetSecretValue",
            "sts:AssumeRole",
        ]

    def test_a_role_with_a_path_is_found_by_path_and_name(self, rig: Rig) -> None:
        rig.settled()
        make_role(rig.aws, "deploy", Path="/web/")
        assert "assumed-role/deploy/" in who(rig, provided(*STORE, "--role", "web/deploy"))

    def test_a_chain_reaches_another_account_and_is_cut_to_an_hour(self, rig: Rig, role: str) -> None:
        target = make_role(rig.aws, "target", role, key=rig.aws.admin_of(OTHER), MaxSessionDuration=43200)
        ran = twokey("credential-process", *STORE, "--role", role, "--role", target, "--duration", "2h")
        assert f"arn:aws:sts::{OTHER}:assumed-role/target/" in who(rig, ran.document)
        assert left(rig, ran.document) <= timedelta(hours=1)
        assert "The session lasts 1h, not 2h: AWS limits a role" in ran.err

    def test_a_role_of_a_role_that_the_sdks_find_is_cut_to_an_hour_too(
        self, rig: Rig, role: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_role(rig.aws, "target", role, MaxSessionDuration=43200)
        session = provided(*STORE, "--role", role)
        key = KeyPair(session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])
        for name, value in rig.aws.environment(key).items():
            monkeypatch.setenv(name, value)
        ran = twokey("credential-process", "--role", "target", "--duration", "2h")
        assert ran.code == 0, ran.err
        assert left(rig, ran.document) <= timedelta(hours=1)
        assert "The session lasts 1h, not 2h" in ran.err

    def test_all_that_a_session_can_have_is_sent(self, rig: Rig, role: str, tmp_path: Path) -> None:
        condition = {
            "StringEquals": {"sts:ExternalId": "agreed", "sts:SourceIdentity": "alice", "sts:RoleSessionName": "run-1"}
        }
        make_role(rig.aws, "strict", condition=condition)
        file = tmp_path / "policy.json"
        file.write_text(policy({"Effect": "Allow", "Action": "iam:ListUsers", "Resource": "*"}))
        options = ("--external-id", "agreed", "--source-identity", "alice", "--session-name", "run-1", "--tag", "a=b")
        document = provided(*STORE, "--role", "strict", *options, "--session-policy", str(file))
        key = KeyPair(document["AccessKeyId"], document["SecretAccessKey"], document["SessionToken"])
        iam = rig.aws.client("iam", key)
        assert iam.list_users()["Users"]
        with pytest.raises(iam.exceptions.ClientError, match="session policy"):
            iam.list_roles()

    def test_no_region_is_needed(self, rig: Rig, role: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        current = rig.stored()
        assert current
        store = file_store(current, tmp_path)
        monkeypatch.delenv("AWS_REGION")
        monkeypatch.delenv("AWS_DEFAULT_REGION")
        assert "SessionToken" in provided("--store", store, "--role", role)


class TestWhatGoesWrong:
    """One clear sentence each, and what to do."""

    def failing(self, *arguments: str, code: int = 1) -> str:
        ran = twokey("credential-process", *arguments)
        assert (ran.code, ran.out) == (code, ""), ran.err
        return ran.err

    def test_a_role_that_does_not_exist(self, rig: Rig) -> None:
        rig.settled()
        error = self.failing(*STORE, "--role", "nowhere")
        assert "The user ci may not assume the role nowhere of account 123456789012, and AWS does not say why" in error

    def test_a_role_that_does_not_exist_where_iam_may_be_asked(self, rig: Rig) -> None:
        assert "There is no role nowhere in account 123456789012." in self.failing("--role", "nowhere")

    def test_a_role_that_does_not_trust_the_user(self, rig: Rig) -> None:
        rig.settled()
        make_role(rig.aws, "closed", f"arn:aws:iam::{OTHER}:root")
        error = self.failing(*STORE, "--role", "closed")
        assert "The user ci may not assume the role closed: the role's trust policy refuses." in error

    def test_a_user_whose_policy_does_not_allow_it(self, rig: Rig) -> None:
        rig.settled()
        make_role(rig.aws, "open", f"arn:aws:iam::{rig.aws.account_id}:root")
        error = self.failing(*STORE, "--role", "open")
        assert (
            "The user ci may not assume the role open: its own policy does not allow it; that is not the role's"
            in error
        )

    def test_a_wrong_external_id(self, rig: Rig) -> None:
        condition = {"StringEquals": {"sts:ExternalId": "agreed"}}
        make_role(rig.aws, "strict", f"arn:aws:iam::{rig.aws.account_id}:root", condition=condition)
        assert "it requires an external ID" in self.failing("--role", "strict")
        assert "the external ID does not match" in self.failing("--role", "strict", "--external-id", "guessed")

    def test_a_role_that_requires_mfa(self, rig: Rig) -> None:
        condition = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
        make_role(rig.aws, "careful", f"arn:aws:iam::{rig.aws.account_id}:root", condition=condition)
        assert "it requires MFA, which the access key of a program never has" in self.failing("--role", "careful")

    def test_a_session_that_is_too_long_for_the_role(self, rig: Rig) -> None:
        rig.settled()
        make_role(rig.aws, "short")
        error = self.failing(*STORE, "--role", "short", "--duration", "2h")
        assert "The role short does not allow sessions of 2h: its maximum session duration is shorter." in error
        assert "--max-session-duration 7200" in error

    def test_a_clock_that_is_wrong(self, rig: Rig, role: str) -> None:
        rig.aws.weather.skew = 3600
        error = self.failing(*STORE, "--role", role)
        assert "Set this machine's clock" in error

    def test_a_store_that_cannot_be_read(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        stranger = rig.aws.make_user("stranger")[1]
        rig.settled()
        for name, value in rig.aws.environment(stranger).items():
            monkeypatch.setenv(name, value)
        assert "Access denied: secretsmanager:" in self.failing(*STORE)

    def test_a_user_without_a_key(self, rig: Rig, tmp_path: Path) -> None:
        rig.aws.make_user("ci", keys=0)
        error = self.failing("ci", *configured(tmp_path))
        assert "The store secretsmanager:machine-users/ci holds no key of ci." in error
        assert "twokey rotate ci" in error

    def test_a_key_that_aws_does_not_know_any_more(self, rig: Rig, role: str) -> None:
        current = rig.held()
        rig.aws.client("iam").delete_access_key(UserName="ci", AccessKeyId=current)
        assert f"AWS does not accept the access key {current}" in self.failing(*STORE, "--role", role)

    @pytest.mark.parametrize("arguments", [STORE, ("--role", "deploy")])
    def test_a_program_for_the_own_credentials_is_run_once_where_it_fails(
        self, rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
    ) -> None:
        """It may ask somebody for a code."""
        log = tmp_path / "log"
        (tmp_path / "config").write_text(f"[default]\ncredential_process = sh -c 'echo run >> {log}; exit 1'\n")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        assert "the credential_process of the profile 'default' failed" in self.failing(*arguments)
        assert log.read_text().split() == ["run"]

    def test_a_profile_whose_program_is_twokey_with_the_same_profile(
        self, rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As one selects the profile of a job: the store needs credentials, and they would come from this profile."""
        rig.settled()
        words = shlex.join([sys.executable, "-m", "twokey", "credential-process", *STORE])
        (tmp_path / "config").write_text(f"[profile job]\ncredential_process = {words}\n")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        monkeypatch.setenv("AWS_PROFILE", "job")
        error = self.failing(*STORE)
        assert "twokey finds the same profile, which would run itself without end." in error
        assert "credential_process = env AWS_PROFILE=OTHER twokey credential-process" in error

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (("ci",), "neither a twokey.yaml nor --store"),
            (("--store", "secretsmanager:machine-users/{user}"), "no user is named"),
            (("--store", "github:acme/site"), "cannot be a store"),
            (("--duration", "1h"), "no role is set"),
            (("--tag", "a=b"), "no role is set"),
            (("--store", "nowhere:x"), "'nowhere:x'"),
            (("--config", "missing.yaml"), "missing.yaml"),
        ],
    )
    def test_a_request_that_means_nothing(self, rig: Rig, arguments: tuple[str, ...], says: str) -> None:
        assert says in self.failing(*arguments, code=2)

    def test_a_user_that_no_entry_covers(self, rig: Rig, tmp_path: Path) -> None:
        assert "no entry covers the user cd" in self.failing("cd", *configured(tmp_path, users="users: [ci]"), code=2)

    def test_a_role_entry_that_is_wrong_is_refused_with_its_line(self, rig: Rig, tmp_path: Path) -> None:
        config = configured(tmp_path, "roles:", "  deploy: {arn: 'arn:aws:iam::1:role/x'}")
        assert "line 3: `arn`" in self.failing("ci", *config, "--role", "deploy", code=2)


class TestFormats:
    @pytest.mark.parametrize(
        ("form", "first", "last"),
        [
            ("env", "export AWS_ACCESS_KEY_ID=", "export AWS_CREDENTIAL_EXPIRATION="),
            ("env-no-export", "AWS_ACCESS_KEY_ID=", "AWS_CREDENTIAL_EXPIRATION="),
            ("powershell", '$Env:AWS_ACCESS_KEY_ID="', '$Env:AWS_CREDENTIAL_EXPIRATION="'),
            ("windows-cmd", "set AWS_ACCESS_KEY_ID=", "set AWS_CREDENTIAL_EXPIRATION="),
            ("fish", "set -gx AWS_ACCESS_KEY_ID ", "set -gx AWS_CREDENTIAL_EXPIRATION "),
            ("process", '{"Version": 1, ', '{"Version": 1, '),
        ],
    )
    def test_of_a_session(self, rig: Rig, role: str, form: str, first: str, last: str) -> None:
        ran = twokey("env", *STORE, "--role", role, "--format", form)
        lines = ran.out.splitlines()
        assert (ran.code, len(lines)) == (0, 1 if form == "process" else 4)
        assert lines[0].startswith(first)
        assert lines[-1].startswith(last)
        assert "These variables work until 20" in ran.err

    @pytest.mark.parametrize(
        ("form", "removal"),
        [
            ("env", "unset AWS_SESSION_TOKEN"),
            ("env-no-export", "AWS_SESSION_TOKEN="),
            ("powershell", "Remove-Item Env:AWS_SESSION_TOKEN -ErrorAction SilentlyContinue"),
            ("windows-cmd", "set AWS_SESSION_TOKEN="),
            ("fish", "set -e AWS_SESSION_TOKEN"),
        ],
    )
    def test_of_an_access_key_remove_a_session_token_that_would_spoil_it(
        self, rig: Rig, form: str, removal: str
    ) -> None:
        rig.settled()
        assert removal in twokey("env", *STORE, "--format", form).out.splitlines()

    def test_say_until_when_grace_guarantees_the_variables(
        self, rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ServiceClock.__init__, "__defaults__", rig.time())
        rig.settled()
        ran = twokey("env", "ci", *configured(tmp_path))
        end = rig.aws.now() + timedelta(seconds=15 * DAY * 23 / 24)
        assert f"are guaranteed to work until {end:%Y-%m-%dT}" in ran.err
        assert "the grace of ci; they cannot be refreshed" in ran.err
        assert twokey("env", "ci", *configured(tmp_path), "--quiet").err == ""

    def test_never_hold_what_a_shell_would_execute(self, rig: Rig) -> None:
        rig.aws.make_user("ci")
        rig.fill(KeyPair("AKIAIOSFODNN7EXAMPLE", "$(touch /tmp/x)"))
        ran = twokey("env", *STORE)
        assert (ran.code, ran.out) == (1, "")
        assert "characters that AWS never uses" in ran.err
        assert "touch" not in ran.err

    def test_are_masked_on_github_before_anything_else(
        self, rig: Rig, role: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        ran = twokey("env", *STORE, "--role", role, "--format", "process")
        found = ran.document
        secrets = [found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"]]
        assert ran.err.splitlines()[:3] == [f"::add-mask::{one}" for one in secrets]
        assert os.environ["GITHUB_ACTIONS"] == "true"
