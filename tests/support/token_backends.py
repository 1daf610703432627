"""Backends of services that take one token, for the contract of destinations."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import pytest

from twokey.testing.contract import Backend, opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from twokey.core.secret import Credential
    from twokey.testing.server import FakeService

TOKEN = "TEST_SERVICE_TOKEN"
"""The environment variable with the token."""


def running(service: Callable[[], Any]) -> Any:
    """Return the fixture ``fake``: a fake that runs, whose token is in that variable."""

    @pytest.fixture(name="fake")
    def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
        with service() as fake:
            monkeypatch.setenv(TOKEN, fake.token)
            yield fake

    return made


class TokenBackend(Backend):
    """Named values of a service; a subclass says how a reader sees one."""

    names: tuple[str, str] = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")

    def __init__(self, fake: FakeService, url: str) -> None:
        self.fake = fake
        self.url = url

    def settings(self) -> dict[str, Any]:
        return {"token": {"env": TOKEN}, "url": self.fake.url}

    @abstractmethod
    def value(self, name: str) -> str | None:
        """Return the value that a reader sees."""

    def read(self) -> dict[str, str] | None:
        key_id, secret = (self.value(name) for name in self.names)
        return None if key_id is None or secret is None else {"AccessKeyId": key_id, "SecretAccessKey": secret}

    def plant(self, credential: Credential) -> None:
        opened(self).deliver(credential)

    def spoil_token(self) -> None:
        self.fake.token = "another"  # type: ignore[attr-defined]
