"""An error that shows only once the users are listed names the line of the configuration that it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.commands import twokey

if TYPE_CHECKING:
    from pathlib import Path

    from support.rig import Rig

BEGIN = "version: 1\nmachine_users:\n  - path: machine-users\n    store: secretsmanager:m/{user}\n"


@pytest.mark.parametrize(
    ("further", "sentence"),
    [
        (
            "    deliver:\n      - ssm:/a/{user}\n      - github:acme/{user}\n",
            "line 7: `deliver`: The connection github is not configured.",
        ),
        (
            "    deliver:\n      - {to: 'github:acme/{user}', connection: own}\n",
            "line 6: `deliver`: 'github:acme/{user}?connection=own': there is no connection 'own'",
        ),
        (
            "    deliver: ['ssm:/a/{path}']\n",
            "line 5: `deliver`: cd and ci would write to the same destination: ssm:/a/machine-users.",
        ),
        (
            "    deliver: ['secretsmanager:M/{user}', 'file:a/{user}', 'file:./a/{user}']\n",
            "line 5: `deliver`: cd, twice, would write to the same destination: file:./a/cd",
        ),
        (
            "  - users: [ci]\n    store: ssm:/x\n",
            "line 6: `store`: The user ci is selected twice: for secretsmanager:m/ci (twokey.yaml line 4) and for",
        ),
        (
            "    deliver: ['github:acme/{user}']\nconnections:\n  github: {token: {env: NOT_SET}}\n",
            "line 7: `github`: `token`: the environment variable NOT_SET is not set.",
        ),
    ],
)
def test_errors_that_need_the_users_or_the_environment_have_their_line(
    rig: Rig, further: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GITHUB_TOKEN", "GH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    for user in ("cd", "ci"):
        rig.aws.make_user(user, path="/machine-users/", keys=0)
    (tmp_path / "twokey.yaml").write_text(BEGIN + further)
    ran = twokey("plan")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"Error: twokey.yaml {sentence}"), ran.err
