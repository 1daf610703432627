"""The settings of the AWS SDK: which of them count, and what is said about those that cannot be used."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.config import Config

from support.commands import twokey
from support.drop_in_runs import run as drop_in
from twokey.aws.clients import Clients
from twokey.aws.iam import Iam
from twokey.aws.sts import Sts
from twokey.core.errors import BadCredentials, CredentialsUnavailable, UsageError
from twokey.emulator import KeyPair

if TYPE_CHECKING:
    from pathlib import Path

    from support.rig import Rig

STORE = "secretsmanager:machine-users/{user}"
AT_A_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)
"""A program that makes its standard input its terminal, and then becomes Python."""
ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
COMMANDS = {
    "rotate": ("rotate", "ci", "--store", STORE),
    "plan": ("plan", "ci", "--store", STORE),
    "status": ("status", "ci", "--store", STORE),
    "adopt": ("adopt", "ci", "--store", STORE),
    "deliver": ("deliver", "ci", "--store", STORE, "--to", "ssm:/{user}"),
    "forget": ("forget", "ci", "--store", STORE, "--destination", "ssm:/ci"),
    "move-store": ("move-store", "ci", "--from", STORE, "--to", "ssm:/{user}"),
}


def operator(rig: Rig) -> KeyPair:
    """Make a user that may do everything; return its key."""
    (key,) = rig.aws.make_user("operator", path="/people/", keys=1)
    rig.aws.client("iam").put_user_policy(UserName="operator", PolicyName="all", PolicyDocument=json.dumps(ALL))
    return key


class TestASwitch:
    """botocore takes every word but true for false: endpoints that are not those of FIPS would be used silently."""

    @pytest.mark.parametrize("name", ["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"])
    @pytest.mark.parametrize("value", ["yes", "1", "on", "ture"])
    def test_is_true_or_false(
        self, rig: Rig, name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        setting = name.removeprefix("AWS_").lower()
        (tmp_path / "config").write_text(f"[default]\n{setting} = {value}\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        ran = twokey("status", "ci", "--store", STORE)
        assert ran.code == 2
        assert f"Error: {setting} of the AWS profile: expected true or false, not '{value}'." in ran.err
        monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
        monkeypatch.setenv(name, value)
        assert f"Error: {name}: expected true or false, not '{value}'." in twokey("status", "ci", "--store", STORE).err
        assert rig.aws.requests == []

    @pytest.mark.parametrize("value", ["true", "True", "FALSE", ""])
    def test_in_any_case(self, rig: Rig, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
        rig.settled()
        monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", value)
        assert twokey("status", "ci", "--store", STORE).code == 0


class TestTheRegion:
    @pytest.mark.parametrize(
        ("first", "second", "profile", "counts"),
        [
            ("us-east-1", "eu-west-1", "eu-central-1", "us-east-1"),
            ("us-east-1", "", "eu-central-1", "us-east-1"),
            ("", "eu-west-1", "eu-central-1", "eu-west-1"),
            ("", "", "eu-central-1", "eu-central-1"),
        ],
    )
    def test_is_that_of_the_first_source_that_has_one(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, first: str, second: str, profile: str, counts: str
    ) -> None:
        (tmp_path / "config").write_text(f"[default]\nregion = {profile}\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        monkeypatch.setenv("AWS_REGION", first)
        monkeypatch.setenv("AWS_DEFAULT_REGION", second)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
        clients = Clients("run")
        assert clients.region == counts
        assert clients.client("secretsmanager").meta.region_name == counts

    def test_is_where_the_secret_is_made(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        rig.aws.make_user("ci", keys=0)
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        assert twokey("rotate", "ci", "--store", STORE).code == 0
        made = {
            region: len(rig.aws.client("secretsmanager", region=region).list_secrets()["SecretList"])
            for region in ("us-east-1", "eu-central-1")
        }
        assert made == {"us-east-1": 1, "eu-central-1": 0}

    def test_that_cannot_be_read_is_no_defect(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_PROFILE", "nowhere")
        with pytest.raises(BadCredentials, match="nowhere"):
            _ = Clients("run").region


def test_the_profile_is_that_of_the_aws_cli(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = {"new": "AKIAIOSFODNN7EXAMPL1", "old": "AKIAIOSFODNN7EXAMPL2"}
    sections = (f"[{name}]\naws_access_key_id = {key}\naws_secret_access_key = x\n" for name, key in names.items())
    (tmp_path / "credentials").write_text("".join(sections))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_DEFAULT_PROFILE", "old")
    assert Clients("run").own_key() == names["old"]
    monkeypatch.setenv("AWS_PROFILE", "new")
    assert Clients("run").own_key() == names["new"]


class TestAVariable:
    @pytest.mark.parametrize(
        ("name", "value", "words"),
        [
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE\n", "AWS_ACCESS_KEY_ID contains a line end"),
            ("AWS_SECRET_ACCESS_KEY", "never-shown\r\n", "AWS_SECRET_ACCESS_KEY contains a line end"),
            ("AWS_SESSION_TOKEN", "never-shown ", "AWS_SESSION_TOKEN contains white space at its beginning or end"),
            ("AWS_SECRET_ACCESS_KEY", '"never-shown"', "AWS_SECRET_ACCESS_KEY contains quotation marks"),
            ("AWS_REGION", "eu-central-1\n", "AWS_REGION contains a line end"),
            ("AWS_PROFILE", " rotator", "AWS_PROFILE contains white space"),
            ("AWS_ENDPOINT_URL", "'https://aws.test'", "AWS_ENDPOINT_URL contains quotation marks"),
            ("AWS_CA_BUNDLE", "/etc/bundle.pem\n", "AWS_CA_BUNDLE contains a line end"),
            ("AWS_METADATA_SERVICE_TIMEOUT", "5s", "AWS_METADATA_SERVICE_TIMEOUT: expected a number, not '5s'"),
        ],
    )
    def test_that_cannot_be_used_is_named_before_anything_is_called(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
    ) -> None:
        monkeypatch.setenv(name, value)
        ran = twokey(*COMMANDS["status"])
        assert ran.code == 2
        assert words in ran.err
        assert name in ran.err.splitlines()[1]
        assert "never-shown" not in ran.err
        assert rig.aws.requests == []


class TestCertificates:
    @pytest.mark.parametrize(("text", "why"), [(None, "No such file or directory"), ("no PEM", "certificates in PEM")])
    @pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
    def test_that_cannot_be_read_are_named_with_the_variable(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, text: str | None, why: str
    ) -> None:
        bundle = tmp_path / "bundle.pem"
        if text is not None:
            bundle.write_text(text)
        monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
        monkeypatch.setenv(variable, str(bundle))
        ran = twokey(*COMMANDS["status"])
        assert ran.code == 2
        assert f"The CA certificates in {bundle} ({variable}) cannot be read: " in ran.err
        assert why in ran.err
        assert rig.aws.requests == []

    def test_of_the_profile_that_cannot_be_read_are_named(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
        (tmp_path / "config").write_text(f"[default]\nca_bundle = {tmp_path}\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        with pytest.raises(UsageError, match=r"ca_bundle of the AWS profile.*Is a directory"):
            Clients("run").own_key()


class TestAProxy:
    @pytest.mark.parametrize("value", ["socks5://127.0.0.1:9", "http://proxy.test:port", "ftp://proxy.test", "http://"])
    def test_that_cannot_be_used_is_named(self, rig: Rig, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
        monkeypatch.setenv("HTTPS_PROXY", value)
        monkeypatch.setenv("AWS_ENDPOINT_URL", "https://aws.test")
        ran = twokey(*COMMANDS["status"])
        assert ran.code == 2
        assert "HTTPS_PROXY is not the URL of a proxy" in ran.err
        assert "SOCKS is not supported" in ran.err

    def test_that_no_request_goes_to_may_be_anything(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:9")
        assert list(Iam(Clients("run")).users("/none/")) == []


class TestMfa:
    """The profile of the operator leads to a role that wants a code."""

    @pytest.fixture
    def variables(self, rig: Rig, tmp_path: Path) -> dict[str, str]:
        key = operator(rig)
        trust = {**ALL, "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}]}
        iam = rig.aws.client("iam")
        role = iam.create_role(RoleName="rotator", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        iam.put_role_policy(RoleName="rotator", PolicyName="all", PolicyDocument=json.dumps(ALL))
        (tmp_path / "config").write_text(
            f"[profile rotator]\nrole_arn = {role}\nsource_profile = operator\n"
            "mfa_serial = arn:aws:iam::123456789012:mfa/operator\n"
        )
        (tmp_path / "credentials").write_text(
            f"[operator]\naws_access_key_id = {key.access_key_id}\naws_secret_access_key = {key.secret_access_key}\n"
        )
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        without = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        emulator = {name: value for name, value in rig.aws.environment().items() if name not in without}
        files = {"AWS_CONFIG_FILE": "config", "AWS_SHARED_CREDENTIALS_FILE": "credentials"}
        return (
            kept | emulator | {name: str(tmp_path / file) for name, file in files.items()} | {"AWS_PROFILE": "rotator"}
        )

    @pytest.mark.parametrize("stdin", ["", "123456\n"])
    def test_without_a_terminal_is_a_failure_that_says_so(self, variables: dict[str, str], stdin: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "twokey", *COMMANDS["rotate"]],
            env=variables, input=stdin, capture_output=True, text=True, start_new_session=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        first, *_ = done.stderr.splitlines()
        assert first == (
            "Error: No usable AWS credentials: the profile requires an MFA code of "
            "arn:aws:iam::123456789012:mfa/operator, and there is no terminal to ask for it."
        )
        assert "use a role that does not require MFA" in done.stderr

    @pytest.mark.parametrize(("typed", "code", "words"), [(b"654987\n", 0, "ci"), (b"\x04", 1, "none was entered")])
    def test_at_a_terminal_asks_for_the_code(
        self, rig: Rig, variables: dict[str, str], typed: bytes, code: int, words: str
    ) -> None:
        rig.aws.make_user("ci", keys=1)
        terminal, side = pty.openpty()
        command = [sys.executable, "-c", AT_A_TERMINAL, "-m", "twokey", *COMMANDS["status"]]
        child = subprocess.Popen(command, env=variables, stdin=side, stdout=side, stderr=side, start_new_session=True)
        os.close(side)
        shown = b""
        # Linux: reading fails once the child has closed its side.
        with contextlib.suppress(OSError):
            while data := os.read(terminal, 65536):
                shown += data
                if b"Enter MFA code" in shown and typed:
                    os.write(terminal, typed)
                    typed = b""
        os.close(terminal)
        assert child.wait() == code, shown
        assert words in shown.decode()
        assert b"654987" not in shown


class TestASessionWithoutMfa:
    @pytest.mark.parametrize("kind", ["get_session_token", "get_federation_token"])
    def test_is_told_from_a_key_that_is_unknown(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
    ) -> None:
        rig.aws.make_user("ci", keys=1)
        sts = rig.aws.client("sts", key=operator(rig))
        session = getattr(sts, kind)(**({"Name": "someone"} if "federation" in kind else {}))["Credentials"]
        keys = (session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])
        environment = rig.aws.environment(KeyPair(*keys))
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        ran = twokey(*COMMANDS["status"])
        assert ran.code == 1
        assert "IAM does not accept the session that twokey runs with, although it is valid (arn:aws:" in ran.err
        assert "a session with MFA, or the access key itself (aws-vault exec --no-session)" in ran.err
        assert "IAM does not accept the session" in drop_in(rig.aws, tmp_path, "/x/", **environment).err

    def test_that_sts_does_not_know_either_is_a_key_that_is_unknown(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in rig.aws.environment(KeyPair("ASIAIOSFODNN7EXAMPLE", "x", "y")).items():
            monkeypatch.setenv(name, value)
        assert "AWS does not know the credentials (InvalidClientTokenId)" in twokey(*COMMANDS["status"]).err


class TestCredentialsThatEndWithinARun:
    """botocore renews them within any other call, whose error theirs would look like."""

    @pytest.fixture
    def printed(self, rig: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
        """What the credential_process of the profile prints: so near their end that each use renews them."""
        file, key = tmp_path / "printed", rig.aws.admin
        end = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
        pair = {"AccessKeyId": key.access_key_id, "SecretAccessKey": key.secret_access_key}
        file.write_text(json.dumps({"Version": 1, **pair, "Expiration": end}))
        (tmp_path / "config").write_text(f"[default]\ncredential_process = cat {file}\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        return file

    def test_leave_no_change_in_doubt(self, rig: Rig, printed: Path) -> None:
        rig.aws.make_user("ci", keys=0)
        clients = Clients("run")
        clients.client("iam", once=True)
        assert clients.own_key() == rig.aws.admin.access_key_id
        assert 0 < clients.credentials_left() <= 300
        printed.unlink()
        with pytest.raises(
            CredentialsUnavailable, match="credential_process of the profile 'default' failed"
        ) as raised:
            Iam(clients).create_key("ci")
        assert raised.value.state == "The request was not sent."
        assert rig.ids() == []

    def test_are_not_taken_for_a_region_or_a_key_that_does_not_work(self, printed: Path) -> None:
        clients = Clients("run")
        clients.own_key()
        printed.unlink()
        with pytest.raises(CredentialsUnavailable):
            Sts(clients).reach("eu-west-1")
        with pytest.raises(CredentialsUnavailable):
            Sts(clients).caller()


def test_the_user_agent_is_that_of_botocore_and_names_application_and_run(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SDK_UA_APP_ID", "shop")
    config = Config(retries={"mode": "standard"}, user_agent_extra="twokey/one")
    theirs_alone: Any = botocore.session.Session().create_client("sts", config=config)
    theirs_alone.get_caller_identity()
    Sts(Clients("one")).caller()
    theirs, ours = (request.user_agent.split() for request in rig.aws.requests)
    assert ours[-2:] == ["app/shop", "twokey/one"]
    assert ours == [part for part in theirs if not part.startswith("m/")], "all but the features of one request"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_its_credentials(rig: Rig, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_PROFILE", "nowhere")
    ran = twokey(*COMMANDS[command])
    assert ran.code == 1
    assert "there is no profile 'nowhere', which AWS_PROFILE names" in ran.err
    assert "defect" not in ran.err
    assert rig.aws.requests == []


def test_the_drop_in_explains_its_credentials(rig: Rig, tmp_path: Path) -> None:
    ran = drop_in(rig.aws, tmp_path, "/x/", AWS_ACCESS_KEY_ID="", AWS_PROFILE="nowhere")
    assert ran.code == 1
    assert "Error: No usable AWS credentials: there is no profile 'nowhere', which AWS_PROFILE names." in ran.err
    assert rig.aws.requests == []
