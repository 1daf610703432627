"""One certificate for all tests, a clean environment for each."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from support.http_servers import HOST, NAME, Service, signed_by_itself
from twokey.testing.contract import Hurried

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_routes_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the proxies and certificates of the environment out of them."""
    for name in list(os.environ):
        if name.upper().endswith("_PROXY") or name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return signed_by_itself(tmp_path_factory.mktemp("tls") / "server.pem", HOST, NAME)


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as running:
        yield running


@pytest.fixture
def hurried() -> Hurried:
    return Hurried()


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust the certificate of the tests."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
