"""``twokey adopt`` reads secrets and shows none: not in output, log, journal or audit log, nor in a crash."""

from __future__ import annotations

import sys
from io import BytesIO, TextIOWrapper
from typing import TYPE_CHECKING

import pytest

from secrecy.adoptions import ADOPTIONS, Adoption, Invocation, configured
from secrecy.outcomes import Stage
from secrecy.test_crashes import Variables
from support.canaries import Canaries, leaks
from twokey.aws import sending

if TYPE_CHECKING:
    from pathlib import Path

    from secrecy.conftest import Commands
    from support.rig import Rig

BAD = {
    "no JSON": "AccessKeyId {id} SecretAccessKey {secret}",
    "cut off": '{{"AccessKeyId": "{id}", "SecretAccessKey": "{secret}',
    "swapped": '{{"AccessKeyId": "{secret}", "SecretAccessKey": "{id}"}}',
    "without an id": '{{"SecretAccessKey": "{secret}"}}',
    "other names": '{{"AccessKey": {{"id": "{id}", "secret": "{secret}"}}}}',
    "a list": '["{id}", "{secret}"]',
}


@pytest.fixture
def stage(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(sending, "ATTEMPTS", 2)
    monkeypatch.setattr(sending, "PATIENCE", 0.3)
    return Stage(rig, tmp_path, monkeypatch)


def pipe(stage: Stage, text: str) -> None:
    """Put a text on standard input."""
    stage.patch.setattr(sys, "stdin", TextIOWrapper(BytesIO(text.encode())))


class TestNoSecretIsShown:
    @pytest.mark.parametrize("case", ADOPTIONS, ids=str)
    def test_before_while_and_after(self, stage: Stage, commands: Commands, canaries: Canaries, case: Adoption) -> None:
        options = configured(stage)
        invocation = case.prepare(stage)
        user = ("ci", *options, *invocation.options)
        for look in (("--json",), ()):
            pipe(stage, invocation.stdin)
            commands.run("adopt", *user, *look, terminal=not look)
        trail = stage.folder / "audit.jsonl"
        pipe(stage, invocation.stdin)
        ran = commands.run("adopt", *user, "--yes", "-v", "--json", "--audit-log", str(trail))
        (result,) = ran.document["results"]
        assert (result["outcome"], result["reason"]) == (case.outcome, case.reason), result["message"]
        stage.rig.aws.weather.clear()
        pipe(stage, invocation.stdin)
        commands.run("adopt", *user, "--yes")
        commands.run("status", *options)
        written = trail.read_text(encoding="utf-8") if trail.exists() else ""
        commands.shown += written + stage.rig.record().journal.encode()
        commands.assert_silent()

    @pytest.mark.parametrize("bad", BAD)
    def test_where_what_is_piped_in_cannot_be_read(self, stage: Stage, commands: Commands, bad: str) -> None:
        (key,) = stage.rig.aws.make_user("ci", keys=1)
        pipe(stage, BAD[bad].format(id=key.access_key_id, secret=key.secret_access_key))
        ran = commands.run("adopt", "ci", *configured(stage), "--stdin", "--yes")
        assert (ran.code, ran.out) == (2, "")
        assert "aws iam create-access-key" in ran.err
        commands.assert_silent()

    @pytest.mark.parametrize("case", ADOPTIONS[:3], ids=str)
    def test_by_the_variables_of_any_function_at_any_line(
        self, stage: Stage, commands: Commands, canaries: Canaries, case: Adoption
    ) -> None:
        options = configured(stage)
        invocation: Invocation = case.prepare(stage)
        pipe(stage, invocation.stdin)
        with Variables(canaries) as variables:
            ran = commands.run("adopt", "ci", *options, *invocation.options, "--yes")
        assert ran.code == 0, ran.out + ran.err
        assert variables.leaks() == set()
        assert leaks(ran.out + ran.err, canaries.secrets) == []
        assert len(variables.lines) > 300
