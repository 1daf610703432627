"""Each way to configure twokey's own credentials that fails: one sentence with the cause and the fix, never a defect.

Every case is a configuration as a user has it. Nothing of botocore is replaced, only where it keeps its sign-ins, and
how long it pauses.
"""

from __future__ import annotations

import hashlib
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
from botocore import exceptions
from botocore.credentials import SSOProvider
from botocore.session import Session
from botocore.tokens import SSOTokenProvider
from botocore.utils import ContainerMetadataFetcher, JSONFileCache

from support.credential_cases import CASES, TOKEN, Case, Services
from twokey.aws import own_programs
from twokey.aws.chain_failures import unavailable
from twokey.aws.clients import Clients
from twokey.aws.errors import translate
from twokey.core.errors import CredentialsUnavailable, ServiceError
from twokey.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def aws() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


@pytest.fixture(scope="module")
def services() -> Iterator[Services]:
    with Services() as running:
        yield running


def configure(case: Case, aws: Emulator, services: Services, folder: Path, patch: pytest.MonkeyPatch) -> dict[str, str]:
    """Set up a case; return what the words' fields mean."""
    admin = aws.admin
    fields = {
        "dir": str(folder),
        "url": services.url,
        "admin": f"aws_access_key_id = {admin.access_key_id}\naws_secret_access_key = {admin.secret_access_key}\n",
    }

    def filled(text: str) -> str:
        for name, value in fields.items():
            text = text.replace(f"{{{name}}}", value)
        return text

    for name in ("AWS_ENDPOINT_URL", "AWS_REGION"):
        patch.setenv(name, aws.environment()[name])
    for name, text in {**case.files, "config": case.config}.items():
        (folder / name).write_text(filled(text))
    patch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    for name, value in case.variables.items():
        patch.setenv(name, filled(value))
    for owner in (SSOProvider, SSOTokenProvider):
        patch.setattr(owner, "_SSO_TOKEN_CACHE_DIR", str(folder))
    patch.setattr(ContainerMetadataFetcher, "SLEEP_TIME", 0)
    if case.signed_in:
        token = {"accessToken": TOKEN, "expiresAt": case.signed_in, "startUrl": "https://corp.awsapps.com/start"}
        for key in ("corp", "https://corp.awsapps.com/start"):
            JSONFileCache(str(folder))[hashlib.sha1(key.encode()).hexdigest()] = token
    return fields


@pytest.mark.parametrize("name", CASES)
def test_that_cannot_be_had_are_explained_before_anything_is_called(
    name: str, aws: Emulator, services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[name]
    fields = configure(case, aws, services, tmp_path, monkeypatch)
    with pytest.raises(CredentialsUnavailable) as raised:
        Clients("run").own_key()
    error = raised.value
    assert case.words.replace("{dir}", fields["dir"]) in error.message
    assert case.remedy.replace("{dir}", fields["dir"]) in error.remedy
    assert error.message.endswith((".", '"', "/"))
    assert TOKEN not in str(error)
    assert error.__cause__ is error.__context__ is None
    assert not any(request.operation.startswith("iam:") for request in aws.requests)


@pytest.mark.parametrize("profile", ["program", "role"])
@pytest.mark.parametrize("program", ["exec sleep 60", "sleep 60 & echo $! > {dir}/child; echo {}"])
def test_a_program_that_does_not_end_is_stopped_and_named(
    profile: str, program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []

    class Recorded(own_programs.Program):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self)

    (tmp_path / "run").write_text(program.replace("{dir}", str(tmp_path)))
    (tmp_path / "config").write_text(
        f"[profile program]\ncredential_process = sh {tmp_path}/run\n"
        "[profile role]\nrole_arn = arn:aws:iam::123456789012:role/rotator\nsource_profile = program\n"
    )
    for name, value in {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_PROFILE": profile}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(own_programs, "LONGEST", 0.5)
    monkeypatch.setattr(own_programs, "Program", Recorded)
    with pytest.raises(CredentialsUnavailable) as raised:
        Clients("run").own_key()
    for child in tmp_path.glob("child"):
        os.kill(int(child.read_text()), signal.SIGKILL)
    message = "the credential_process of the profile 'program' was not done after 0 seconds, and was stopped."
    assert raised.value.message == f"No usable AWS credentials: {message}"
    assert "Run it in a shell" in raised.value.remedy
    assert [one.returncode is not None for one in started] == [True]


SHOWN = (exceptions.InvalidConfigError, exceptions.BaseEndpointResolverError, exceptions.EndpointProviderError)
"""Their texts are botocore's own, about the configuration."""


def kinds(base: type[Exception]) -> Iterator[type[Exception]]:
    """Return every kind of error of botocore that a text is made for."""
    for kind in vars(exceptions).values():
        if isinstance(kind, type) and issubclass(kind, base):
            yield kind


class Anything(dict[str, str]):
    """The fields of an error's text, whatever their names."""

    def __missing__(self, name: str) -> str:
        return TOKEN if name in ("error_msg", "report", "error") else name


@pytest.mark.parametrize("kind", sorted(kinds(exceptions.BotoCoreError), key=repr))
def test_no_kind_of_error_of_the_sdk_is_a_defect_or_shows_what_a_service_said(
    kind: type[exceptions.BotoCoreError], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = kind.fmt.format_map(Anything())
    error = kind.__new__(kind)
    error.kwargs = Anything()
    Exception.__init__(error, text)
    found = unavailable(error, Session())
    assert found.message.startswith("No usable AWS credentials: ")
    assert found.remedy
    if not issubclass(kind, SHOWN):
        assert TOKEN not in str(found)
    assert isinstance(translate(error, action="iam:ListUsers", resource="/", mutates=False), ServiceError)
