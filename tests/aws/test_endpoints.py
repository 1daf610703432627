"""Endpoints without TLS: on this machine they are an emulator, elsewhere others could read the secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.commands import twokey
from twokey.aws.clients import Clients
from twokey.aws.iam import Iam
from twokey.core.errors import UsageError
from twokey.emulator import Emulator

if TYPE_CHECKING:
    from pathlib import Path

    from support.rig import Rig

ELSEWHERE = "http://aws.test:4566"
VARIABLES = ("", "_IAM", "_STS", "_SECRETS_MANAGER", "_SSM")
PROFILES = {
    "the profile": "[default]\nendpoint_url = {url}\n",
    "a services section": "[default]\nservices = here\n[services here]\nsts =\n  endpoint_url = {url}\n",
}


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("url", [ELSEWHERE, "http://10.0.0.1:5000/", "HTTP://AWS.test"])
def test_elsewhere_is_refused_before_anything_is_called(
    monkeypatch: pytest.MonkeyPatch, rig: Rig, variable: str, url: str
) -> None:
    monkeypatch.setenv(f"AWS_ENDPOINT_URL{variable}", url)
    ran = twokey("rotate", "ci", "--store", "secretsmanager:machine-users/{user}")
    assert ran.code == 2
    assert f"AWS_ENDPOINT_URL{variable}: http://" in " ".join(ran.err.split())
    assert "is not encrypted" in " ".join(ran.err.split())
    assert rig.aws.requests == []


@pytest.mark.parametrize("variable", ["", "_STS"])
@pytest.mark.parametrize(
    "url",
    [
        "aws.test",
        "https://",
        "http:///",
        "//aws.test",
        "localhost:4566",
        "ftp://aws.test",
        "file:///etc",
        "https://user:hunter2@",
    ],
)
def test_what_is_no_url_is_refused_before_anything_is_called(
    monkeypatch: pytest.MonkeyPatch, rig: Rig, variable: str, url: str
) -> None:
    monkeypatch.setenv(f"AWS_ENDPOINT_URL{variable}", url)
    ran = twokey("rotate", "ci", "--store", "secretsmanager:machine-users/{user}")
    assert ran.code == 2
    assert f"AWS_ENDPOINT_URL{variable}: expected the URL of an endpoint" in " ".join(ran.err.split())
    assert "hunter2" not in ran.err
    assert rig.aws.requests == []


@pytest.mark.parametrize("profile", PROFILES)
def test_elsewhere_in_the_configuration_of_the_sdk_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, profile: str
) -> None:
    (tmp_path / "config").write_text(PROFILES[profile].format(url=ELSEWHERE))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    with pytest.raises(UsageError, match=r"AWS .*is not encrypted"):
        Clients("run").client("iam")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_on_this_machine_is_used(monkeypatch: pytest.MonkeyPatch, rig: Rig, host: str) -> None:
    url = rig.aws.environment()["AWS_ENDPOINT_URL"].replace("127.0.0.1", host)
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    assert list(Iam(Clients("run")).users("/nobody/")) == []


def test_no_client_of_the_sdk_sends_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The SDK itself assumes the role of a profile, with a client that twokey never sees."""
    (tmp_path / "config").write_text(
        "[profile role]\nregion = us-east-1\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = base\n"
        "[profile base]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = not-a-secret\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "role")
    clients = Clients("run")
    assert clients.session
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", ELSEWHERE)
    with pytest.raises(UsageError, match="not encrypted"):
        clients.own_key()


def test_a_service_that_twokey_never_calls_may_be_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    with Emulator() as aws:
        for name, value in aws.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", ELSEWHERE)
        assert list(Iam(Clients("run")).users("/nobody/")) == []
