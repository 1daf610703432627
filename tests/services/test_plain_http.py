"""Plain http to a service in a private network: only with the setting, and with a warning at each run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import urllib3

from services.company import GITHUB

if TYPE_CHECKING:
    from services.company import Company

PRIVATE = "http://github.tools.svc"


@pytest.fixture
def ready(company: Company, monkeypatch: pytest.MonkeyPatch) -> Company:
    """Let the name lead to the fake."""
    company.rig.aws.make_user("ci", keys=0)
    connect = urllib3.util.connection.create_connection
    there = ("127.0.0.1", company.github.port)

    def connected(address: tuple[str, int], *more: object, **options: object) -> object:
        return connect(there if address[0] == "github.tools.svc" else address, *more, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(urllib3.util.connection, "create_connection", connected)
    return company


def test_with_the_setting_it_is_used_and_each_run_warns(ready: Company) -> None:
    ready.configure(GITHUB[0], github={"url": PRIVATE, "token": {"env": "ACME_GITHUB"}, "insecure_http": True})
    for command in ("plan", "rotate"):
        ran = ready.run(command)
        assert ran.code == 0, ran.err
        assert f"The connection github is not encrypted ({PRIVATE}, `insecure_http`)" in " ".join(ran.err.split())
        assert ready.github.token not in ran.out + ran.err
    assert ready.holding() == [GITHUB[0]]


def test_without_it_nothing_is_called(ready: Company) -> None:
    ready.configure(GITHUB[0], github={"url": PRIVATE, "token": {"env": "ACME_GITHUB"}})
    ran = ready.run("rotate")
    assert ran.code == 2
    assert "insecure_http: true in the connection allows it" in " ".join(ran.err.split())
    assert ready.github.requests == []
    assert ready.rig.aws.requests == []
