"""The contract of every destination, for those that are no service of their own: AWS's stores, files, programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from destinations.local.test_edited_files import Lines, Members, Profiles
from support.local_destinations import Local
from twokey.destinations.registry import open_destination
from twokey.testing.contract import BackendView, EveryDestinationContract, fresh_name, pair

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from twokey.core.destination import Destination
    from twokey.core.secret import Credential
    from twokey.destinations.registry import Services
    from twokey.emulator import Emulator


class OfText:
    """A destination whose whole content is one JSON object."""

    def __init__(self, url: str, text: Callable[[], str | None], write: Callable[[str], object]) -> None:
        self.url = url
        self._text = text
        self._write = write

    def read(self) -> dict[str, str] | None:
        found = self._text()
        return json.loads(found) if found else None

    def plant(self, credential: Credential) -> None:
        self._write(json.dumps({name: str(value) for name, value in pair(credential).items()}))

    def written(self) -> object:
        return self._text()


class OfPart:
    """A part of a file that belongs to others too."""

    def __init__(self, kind: Any, file: Path, services: Services) -> None:
        self.url = f"{kind.scheme}:{file}?{kind.options('ci')}"
        self._kind = kind
        self._file = file
        self._services = services

    def read(self) -> dict[str, str] | None:
        found: dict[str, str] | None = self._kind.read(self._file, "ci") if self._file.exists() else None
        return found

    def plant(self, credential: Credential) -> None:
        open_destination(self.url, self._services).deliver(credential)

    def written(self) -> object:
        return (self._file.stat().st_ino, self._file.read_bytes()) if self._file.exists() else None


def secret(aws: Emulator) -> OfText:
    name = fresh_name()
    client = aws.client("secretsmanager")

    def text() -> str | None:
        try:
            return str(client.get_secret_value(SecretId=name)["SecretString"])
        except client.exceptions.ResourceNotFoundException:
            return None

    def write(value: str) -> object:
        if text() is None:
            return client.create_secret(Name=name, SecretString=value)
        return client.put_secret_value(SecretId=name, SecretString=value)

    return OfText(f"secretsmanager:{name}", text, write)


def parameter(aws: Emulator) -> OfText:
    name = f"/{fresh_name()}"
    client = aws.client("ssm")

    def text() -> str | None:
        try:
            return str(client.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])
        except client.exceptions.ParameterNotFound:
            return None

    def write(value: str) -> object:
        return client.put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)

    return OfText(f"ssm:{name}", text, write)


KINDS = ("secretsmanager", "ssm", "file", *(kind.scheme for kind in (Profiles, Lines, Members)))


@pytest.mark.parametrize("kind", KINDS)
class TestEveryDestination(EveryDestinationContract):
    @pytest.fixture
    def backend(self, kind: str, aws: Emulator, tmp_path: Path, services: Services) -> BackendView:
        if kind == "secretsmanager":
            return secret(aws)
        if kind == "ssm":
            return parameter(aws)
        if kind == "file":
            local = Local(tmp_path / "out" / "ci.json")
            return OfText(local.url, local.text, local.plant_text)
        part = next(one for one in (Profiles, Lines, Members) if one.scheme == kind)
        return OfPart(part, tmp_path / "shared", services)

    @pytest.fixture
    def destination(self, backend: BackendView, services: Services) -> Destination:
        return open_destination(backend.url, services)

    @pytest.fixture
    def second(self, backend: BackendView, services: Services) -> Destination:
        return open_destination(backend.url, services)
