"""``twokey revoke --drill``: one's own configuration is played, and nothing leaves the emulator."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import forked
from support.canaries import suspicious
from support.commands import twokey
from twokey.cli import drill
from twokey.config.load import load
from twokey.core.errors import UsageError
from twokey.fleet import drilling

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = """
version: 1
verify: {{successes: 1, interval: 0s}}
audit_log: {folder}/audit.log
connections:
  github: {{url: "http://127.0.0.1:{port}", token: {{env: TOKEN}}}}
  vault: {{url: "http://127.0.0.1:{port}", token: {{env: TOKEN}}}}
machine_users:
  - path: /m/
    except: ["drill-1"]
    store: secretsmanager:{{user}}
    deliver: ["github:acme/site?id={{USER}}_ID&secret={{USER}}_SECRET", "file:{folder}/keys/{{user}}.json"]
    hooks:
      before: {{run: [/bin/touch, "{folder}/hooked"]}}
  - users: [backup]
    store: vault:secret/aws/{{user}}
"""


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Return the socket that everything outside the emulator leads to."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(forked.programs() / "interpreter"))
    monkeypatch.setattr(drill, "LATENCY", 0.0)
    monkeypatch.setattr(drill, "PROPAGATION", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        port = listening.getsockname()[1]
        for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_IAM", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        monkeypatch.setenv("AWS_PROFILE", "production")
        monkeypatch.setenv("TOKEN", "of-production")
        Path("twokey.yaml").write_text(CONFIG.format(folder=tmp_path, port=port))
        Path("keys").mkdir(mode=0o700)
        yield listening


def test_a_drill_plays_the_configuration_and_touches_nothing_outside_the_emulator(outside: socket.socket) -> None:
    ran = twokey("revoke", "--drill", "--delete")
    assert ran.code == 0, ran.out + ran.err
    for user in ("drill-2", "drill-3", "backup"):
        assert f"    {user}: revoked." in ran.out
    assert "github:acme/site?id={USER}_ID&secret={USER}_SECRET: a file stands in for it" in ran.out
    steps = [line.split(" s  ")[1] for line in ran.out.splitlines() if " s  " in line]
    assert steps[0] == "every leaked key is Inactive"
    assert steps[-1] == "the command has ended"
    assert steps[1] == "the sessions are ended"
    assert {"the new keys are created", "the leaked keys are deleted"} <= set(steps)
    assert suspicious(ran.out + ran.err) == [], "no secret of the emulator is shown"
    with pytest.raises(BlockingIOError):
        outside.accept()
    assert sorted(one.name for one in Path().iterdir()) == ["keys", "twokey.yaml"]
    assert list(Path("keys").iterdir()) == []


def test_the_users_are_those_that_are_named_or_those_of_the_configuration(outside: socket.socket) -> None:
    settings, playing = load(Path("twokey.yaml")), drilling.in_files(Path("/drill"))
    assert [one.user for one in drilling.parts(settings, (), playing)] == ["drill-2", "drill-3", "backup"]
    [part] = drilling.parts(settings, ["ci"], playing)
    assert (part.user, part.path, part.entry["store"]) == ("ci", "/m/", "secretsmanager:{user}")
    assert all(url.startswith("file:/drill/") for url in part.entry["deliver"])
    for name in ("drill-1", "AKIAIOSFODNN7EXAMPLE"):
        with pytest.raises(UsageError):
            drilling.parts(settings, [name], playing)
    assert outside.fileno() > 0


def test_without_a_configuration_there_is_nothing_to_play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert twokey("revoke", "--drill").code == 2
