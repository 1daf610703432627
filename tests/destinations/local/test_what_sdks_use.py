"""What is "held" is what botocore authenticates with: real botocore reads each delivered file."""

from __future__ import annotations

import json
import shlex
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from botocore.credentials import EnvProvider
from botocore.session import Session

from twokey.aws.clients import Clients
from twokey.core.errors import ServiceRejected
from twokey.core.model import CannotTell, Held
from twokey.destinations.registry import Services, open_destination
from twokey.testing.stores import fresh_credential, outcome

if TYPE_CHECKING:
    from pathlib import Path

    from twokey.core.destination import Destination
    from twokey.core.secret import Credential

OLD = "aws_access_key_id = ASIAIOSFODNN7EXAMPLE\naws_secret_access_key = old\n"
TOKEN = "IQoJb3JpZ2luX2VjEXAMPLE"


@pytest.fixture(autouse=True)
def _nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def at(scheme: str, file: Path, options: str, text: str) -> Destination:
    file.write_text(text)
    return open_destination(f"{scheme}:{file}{'?' if options else ''}{options}", Services(Clients("file")))


def used(file: Path, monkeypatch: pytest.MonkeyPatch, profile: str = "ci") -> Any:
    """Return what a job with this profile authenticates with."""
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    found = Session(profile=profile).get_credentials()
    return found and (found.access_key, found.secret_key, found.token)


def environment(file: Path) -> dict[str, str]:
    """Return the variables of a job that reads a dotenv file with ``sh``."""
    script = f"set -a; . {shlex.quote(str(file))}; exec env -0"
    ran = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin"}
    )
    return dict(one.split("=", 1) for one in ran.stdout.split("\0") if one)


def alone(credential: Credential) -> tuple[str, str, None]:
    return (credential.access_key_id, str(credential.reveal()), None)


class TestProfile:
    @pytest.mark.parametrize(
        "beside",
        [
            f"aws_session_token = {TOKEN}\n",
            f"aws_security_token = {TOKEN}\n",
            f"AWS_Security_Token = {TOKEN}\n",
            f"aws_session_token = {TOKEN}\naws_security_token: {TOKEN}\nx_security_token_expires = 2020-01-01\n",
            "credential_process = /bin/false\n",
            "credential_source = Environment\n",
            "login_session = x\n",
            "source_profile = base\n",
        ],
    )
    def test_is_what_a_job_uses_after_a_delivery(
        self, file: Path, monkeypatch: pytest.MonkeyPatch, beside: str
    ) -> None:
        destination = at("credentials-file", file, "profile=ci", f"[base]\n{OLD}\n[ci]\n{OLD}{beside}region = x\n")
        destination.preflight()
        credential = fresh_credential()
        assert destination.deliver(credential).written
        assert destination.held() == Held(credential.access_key_id)
        assert used(file, monkeypatch) == alone(credential)
        assert "region = x\n" in file.read_text()

    @pytest.mark.parametrize(
        ("beside", "named"),
        [
            ("role_arn = arn:aws:iam::123456789012:role/x\nsource_profile = base\n", "role_arn"),
            ("ROLE_ARN: arn:aws:iam::123456789012:role/x\ncredential_source = Environment\n", "role_arn"),
            (
                "role_arn = arn:aws:iam::123456789012:role/x\nweb_identity_token_file = /no\nsource_profile = ci\n",
                "web_identity_token_file",
            ),
            ("sso_start_url = https://x.awsapps.com/start\nsso_account_id = 1\nsso_role_name = x\n", "sso_"),
            ("sso_session = x\nsso_account_id = 1\nsso_role_name = x\n", "sso_session"),
        ],
    )
    def test_is_refused_and_not_held_where_no_job_would_use_it(self, file: Path, beside: str, named: str) -> None:
        text = f"[base]\n{OLD}\n[ci]\n{beside}"
        credential = fresh_credential()
        pair = f"aws_access_key_id = {credential.access_key_id}\naws_secret_access_key = {credential.reveal()}\n"
        destination = at("credentials-file", file, "profile=ci", text)
        for content in (text, f"{text}{pair}"):
            file.write_text(content)
            holding = destination.held()
            assert not isinstance(holding, Held)
            for act in (destination.preflight, lambda: destination.deliver(credential)):
                error = outcome(act)
                assert isinstance(error, ServiceRejected)
                assert named in error.message
                assert named in error.remedy
            assert file.read_text() == content

    def test_with_a_role_that_is_assumed_with_the_pair_itself_is_fine(self, file: Path) -> None:
        role = "role_arn = arn:aws:iam::123456789012:role/x\nsource_profile = ci\n"
        destination = at("credentials-file", file, "profile=ci", f"[ci]\n{OLD}{role}")
        credential = fresh_credential()
        destination.preflight()
        destination.deliver(credential)
        assert destination.held() == Held(credential.access_key_id)

    @pytest.mark.parametrize(
        "spoiled",
        [
            "export AWS_REGION\n",
            "[a]\nno value\n",
            "[a]\nx = 1\nx = 2\n",
            "[a]\n[a]\n",
            "region = outside of a section\n[a]\n",
            "[a]\ns3 =\n  no value\n",
            "[DEFAULT]\naws_session_token = x\n",
            "[DEFAULT]\nrole_arn = arn:aws:iam::123456789012:role/x\n",
        ],
    )
    @pytest.mark.parametrize("before", [True, False])
    def test_in_a_file_that_botocore_cannot_use_is_refused_and_not_held(
        self, file: Path, monkeypatch: pytest.MonkeyPatch, spoiled: str, before: bool
    ) -> None:
        credential = fresh_credential()
        pair = f"aws_access_key_id = {credential.access_key_id}\naws_secret_access_key = {credential.reveal()}\n"
        own = f"[ci]\n{pair}"
        text = spoiled + own if before else own + spoiled
        if not before and not spoiled.startswith("["):
            text = own + f"[b]\n{spoiled}{spoiled}"
        destination = at("credentials-file", file, "profile=ci", text)
        try:
            found = used(file, monkeypatch)
        except Exception:  # noqa: BLE001  whatever botocore raises, the job has no key
            found = None
        assert found != alone(credential)
        assert isinstance(destination.held(), CannotTell)
        for act in (destination.preflight, lambda: destination.deliver(credential)):
            error = outcome(act)
            assert isinstance(error, ServiceRejected)
            assert error.remedy
        assert file.read_text() == text

    def test_default_that_spoils_nothing_is_left_alone(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        destination = at("credentials-file", file, "profile=ci", "[DEFAULT]\nregion = eu-central-1\n")
        credential = fresh_credential()
        destination.preflight()
        destination.deliver(credential)
        assert used(file, monkeypatch) == alone(credential)
        assert file.read_text().startswith("[DEFAULT]\nregion = eu-central-1\n")


class TestEnvironment:
    @pytest.mark.parametrize("left", ["AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"])
    @pytest.mark.parametrize("line", ["{left}={token}\n", "export {left}='{token}' # old\n"])
    def test_is_what_a_job_uses_after_a_delivery(self, file: Path, left: str, line: str) -> None:
        text = f"# theirs\nA=1\n{line.format(left=left, token=TOKEN)}B=2\n"
        destination = at("dotenv", file, "", text)
        destination.preflight()
        credential = fresh_credential()
        destination.deliver(credential)
        assert destination.held() == Held(credential.access_key_id)
        found = EnvProvider(environment(file)).load()
        assert found is not None
        assert (found.access_key, found.secret_key, found.token) == alone(credential)
        assert file.read_text().startswith("# theirs\nA=1\nB=2\n")

    def test_with_an_expiry_in_the_past_is_not_held(self, file: Path) -> None:
        destination = at("dotenv", file, "", "")
        credential = fresh_credential()
        destination.deliver(credential)
        with file.open("a") as more:
            more.write("AWS_CREDENTIAL_EXPIRATION=2020-01-01T00:00:00Z\n")
        assert isinstance(destination.held(), CannotTell)
        assert destination.deliver(credential).written
        found = EnvProvider(environment(file)).load()
        assert found is not None
        assert found.access_key == credential.access_key_id

    def test_a_token_that_appears_beside_a_delivered_pair_is_not_held(self, file: Path) -> None:
        destination = at("dotenv", file, "id=CI_AWS_ACCESS_KEY_ID&secret=CI_AWS_SECRET_ACCESS_KEY", "")
        credential = fresh_credential()
        receipt = destination.deliver(credential)
        with file.open("a") as more:
            more.write(f"AWS_SESSION_TOKEN={TOKEN}\n")
        assert destination.held() == Held(credential.access_key_id)
        with file.open("a") as more:
            more.write(f"CI_AWS_SESSION_TOKEN={TOKEN}\n")
        holding = destination.held()
        assert isinstance(holding, CannotTell)
        assert "CI_AWS_SESSION_TOKEN" in holding.why
        assert holding.stamp != receipt.stamp
        assert destination.deliver(credential).written
        assert environment(file)["AWS_SESSION_TOKEN"] == TOKEN
        assert "CI_AWS_SESSION_TOKEN" not in environment(file)

    def test_an_empty_token_stays_because_it_spoils_nothing(self, file: Path) -> None:
        destination = at("dotenv", file, "", "AWS_SESSION_TOKEN=\n")
        credential = fresh_credential()
        destination.deliver(credential)
        assert destination.held() == Held(credential.access_key_id)
        assert file.read_text().startswith("AWS_SESSION_TOKEN=\n")


@pytest.mark.parametrize("scheme", ["json", "file"])
class TestProcess:
    def test_that_prints_the_file_is_what_a_job_uses_after_a_delivery(
        self, scheme: str, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        left = {"SessionToken": TOKEN, "Expiration": "2020-01-01T00:00:00Z"}
        pair = {"AccessKeyId": "ASIAIOSFODNN7EXAMPLE", "SecretAccessKey": "old"}
        for beside in (left, {"Expiration": "2020-01-01T00:00:00Z"}, {"SessionToken": TOKEN}, {}):
            options = "id=AccessKeyId&secret=SecretAccessKey"
            destination = at(scheme, file, options, json.dumps({"Version": 1, **pair, **beside, "Other": [1]}))
            destination.preflight()
            credential = fresh_credential()
            destination.deliver(credential)
            assert destination.held() == Held(credential.access_key_id)
            assert json.loads(file.read_text())["Other"] == [1]
            (tmp_path / "config").write_text(f"[profile ci]\ncredential_process = cat {shlex.quote(str(file))}\n")
            assert used(tmp_path / "none", monkeypatch) == alone(credential)


def test_a_token_beside_the_pair_in_an_inner_object_is_removed_and_one_elsewhere_stays(tmp_path: Path) -> None:
    file = tmp_path / "app.json"
    credential = fresh_credential()
    inner = {"AccessKeyId": credential.access_key_id, "SecretAccessKey": str(credential.reveal())}
    destination = at(
        "json",
        file,
        "id=aws.AccessKeyId&secret=aws.SecretAccessKey",
        json.dumps({"aws": {**inner, "SessionToken": TOKEN}, "SessionToken": TOKEN}),
    )
    holding = destination.held()
    assert isinstance(holding, CannotTell)
    assert "aws.SessionToken" in holding.why
    assert destination.deliver(credential).written
    assert json.loads(file.read_text()) == {"aws": inner, "SessionToken": TOKEN}
    assert destination.held() == Held(credential.access_key_id)
