"""Every command, every outcome, every way of printing it, with every logger at DEBUG: no secret is shown."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from secrecy.adoptions import ADOPTIONS
from secrecy.outcomes import BROKEN, CASES, PATH, SSM, STORE, Case, Stage
from support.canaries import leaks
from support.roles import make_role
from twokey.core.reasons import Reason
from twokey.emulator import Rule

if TYPE_CHECKING:
    from pathlib import Path

    from secrecy.conftest import Commands
    from support.canaries import Canaries
    from support.rig import Rig


DELIVERIES = (Reason.DELIVERY_REQUESTED, Reason.HELD)
PLANS = {Reason.PLAN_CHANGED, Reason.PLAN_EXPIRED, Reason.PLAN_INVALID, Reason.NOT_PLANNED}
MOVES = {Reason.MOVE_REQUESTED, Reason.MOVED, Reason.MOVE_UNFINISHED}
REVOCATIONS = {Reason.LEAKED, Reason.SESSIONS_LEFT, Reason.REVOKED_KEPT, Reason.REVOKED}
FORGETTING = [Reason.STILL_CONFIGURED, Reason.NOT_RECORDED, Reason.UNCONFIRMED, Reason.FORGET_REQUESTED]


@pytest.fixture
def stage(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(rig, tmp_path, monkeypatch)


def looks(options: tuple[str, ...]) -> tuple[str, ...]:
    """Return the options that ``status`` also takes."""
    kept = list(options)
    for name, values in {"--retire": 1, "--max-users": 1, "--force": 0, "--ignore-last-use": 0, "--no-wait": 0}.items():
        while name in kept:
            del kept[(at := kept.index(name)) : at + 1 + values]
    return tuple(kept)


class TestNoSecretIsShown:
    @pytest.mark.parametrize("case", CASES, ids=str)
    def test_by_any_command_before_while_and_after(self, stage: Stage, commands: Commands, case: Case) -> None:
        options = stage.filed(case.prepare(stage))
        wishes = tuple(option for option in options if option != "--no-wait")
        commands.run("plan", *wishes, terminal=True)
        commands.run("status", *looks(options))
        trail = stage.folder / "audit.jsonl"
        ran = commands.run(case.command, *options, "-v", "--json", "--audit-log", str(trail))
        (result, *_) = ran.document["results"]
        assert (result["outcome"], result["reason"]) == (case.outcome, case.reason), result["message"]
        commands.run("status", *looks(options), terminal=True)
        commands.run("plan", *wishes)
        stage.rig.aws.weather.clear()
        commands.run("rotate", *wishes, "--no-wait", "--audit-log", str(trail))
        commands.run("audit-log", "verify", str(trail))
        if case.outcome == "rotated":
            assert trail.stat().st_mode & 0o777 == 0o600
        commands.shown += trail.read_text(encoding="utf-8") if trail.exists() else ""
        commands.assert_silent()

    def test_covers_every_reason(self) -> None:
        # A run is stopped by a signal: that is tested with a real process.
        assert {case.reason for case in (*CASES, *ADOPTIONS)} == set(Reason) - {
            Reason.STOPPED,
            Reason.CONTESTED,
            # Nothing about a hook contains a secret that it could show: see tests/rotation/test_hooks.py.
            Reason.HOOK_DUE,
            Reason.HOOK_FAILED,
            # Refused before any store is read: see tests/fleet.
            Reason.TOO_MANY_ACCOUNTS,
            Reason.WAVE_STOPPED,
            *PLANS,
            *MOVES,
            *FORGETTING,
            *REVOCATIONS,
        }

    def test_by_deliver_before_while_and_after(self, stage: Stage, commands: Commands) -> None:
        copy = stage.folder / "ci.json"
        stage.rig.settled()
        options = stage.filed((*PATH, "--to", f"file:{stage.folder}/{{user}}.json"))
        commands.run("rotate", *options)
        copy.unlink()
        trail = stage.folder / "audit.jsonl"
        for reason in DELIVERIES:
            ran = commands.run("deliver", *options, "-v", "--json", "--audit-log", str(trail))
            assert [result["reason"] for result in ran.document["results"]] == [reason]
            commands.run("deliver", *options, terminal=True)
        commands.shown += trail.read_text(encoding="utf-8")
        assert copy.exists()
        commands.assert_silent()

    def test_by_audit_of_a_terraform_state(self, stage: Stage, commands: Commands) -> None:
        pairs = stage.rig.settled()
        resources = [
            {
                "type": "aws_iam_access_key",
                "name": "k",
                "instances": [{"attributes": {"id": one.access_key_id, "secret": one.secret_access_key}}],
            }
            for one in pairs
        ]
        state = stage.folder / "terraform.tfstate"
        state.write_text(json.dumps({"version": 4, "resources": resources}), encoding="utf-8")
        for name in ("table", "json", "csv", "sarif", "ocsf", "asff", "prometheus", "html"):
            ran = commands.run("audit", "--state", str(state), "--format", name, terminal=name == "table")
            assert ran.code == 0
        assert "TK731" in commands.shown
        state.write_text(state.read_text(encoding="utf-8")[:-2], encoding="utf-8")
        assert commands.run("audit", "--state", str(state)).code == 2
        commands.assert_silent()

    def test_by_revoke_its_evidence_and_the_runs_after_it(
        self, stage: Stage, commands: Commands, canaries: Canaries
    ) -> None:
        stage.rig.aws.make_user("ci", keys=0)
        arn = make_role(stage.rig.aws, "deploy")
        options = stage.filed((*PATH, "--to", f"file:{stage.folder}/{{user}}.json"))
        commands.run("rotate", *options)
        leaked = stage.rig.held()
        trail, evidence = stage.folder / "audit.jsonl", stage.folder / "evidence"
        logged = ("-v", "--json", "--audit-log", str(trail))
        stage.rig.aws.client("sts", stage.rig.stored()).assume_role(RoleArn=arn, RoleSessionName="run-1")
        commands.run("revoke", "ci", *options, "--plan", terminal=True)
        commands.run("revoke", "ci", *options, "--plan", "--json")
        runs = [
            ("revoke", leaked, *options, "--yes", "--evidence", str(evidence)),
            ("rotate", *options, "--force"),
            ("revoke", leaked, *options, "--yes", "--keep", "40s"),
            ("rotate", *options),
        ]
        denied = Rule("iam:PutRolePolicy", effect="error_before", status=403, code="AccessDenied", times=None)
        stage.rig.aws.weather.add(denied)
        reasons = []
        for number, run in enumerate(runs):
            (result,) = commands.run(*run, *logged).document["results"]
            reasons.append(result["reason"])
            commands.run("status", *options, terminal=True)
            stage.rig.aws.weather.clear()
            stage.rig.later(seconds=45 if number == 2 else 0)
        assert set(reasons) == REVOCATIONS, reasons
        stage.rig.later(hours=37)
        commands.run("revoke", "--lift", terminal=True)
        assert commands.run("revoke", "--lift", "--json").code == 0
        commands.run("audit-log", "verify", str(trail))
        commands.shown += trail.read_text(encoding="utf-8")
        # To a scanner, the ids of the emulator's requests look like secrets.
        texts = [file.read_text(encoding="utf-8") for file in evidence.iterdir()]
        assert [leaks(text, canaries.secrets) for text in texts] == [[], []]
        commands.assert_silent()

    def test_by_watch_of_a_leaked_key(self, stage: Stage, commands: Commands) -> None:
        text = "".join(f"{one.access_key_id} {one.secret_access_key}\n" for one in stage.rig.settled())
        stage.folder.joinpath("plain").write_text(text, encoding="utf-8")
        stage.folder.joinpath("encoded").write_text(base64.b64encode(text.encode()).decode(), encoding="utf-8")
        event = stage.folder / "event.json"
        event.write_text(json.dumps({"source": "aws.health", "detail": {"text": text}}), encoding="utf-8")
        looked = ("watch", "--scan", str(stage.folder), "--event", str(event))
        for name in ("table", "json", "sarif"):
            assert commands.run(*looked, "--format", name, terminal=name == "table").code == 0
        assert "TK801" in commands.shown
        event.write_text(text, encoding="utf-8")
        assert commands.run(*looked).code == 2
        commands.assert_silent()

    def test_by_move_store_and_the_runs_that_it_refuses(self, stage: Stage, commands: Commands) -> None:
        stage.rig.settled()
        options = stage.filed(PATH)
        commands.run("rotate", *options)
        commands.run("move-store", *options, "--to", SSM, terminal=True)
        reasons = set()
        for command in ("move-store", "rotate"):
            more = ("--to", SSM) if command == "move-store" else ()
            (result,) = commands.run(command, *options, *more, "-v", "--json").document["results"]
            reasons.add(result["reason"])
        assert reasons == {Reason.MOVED}
        former, new = (SSM, STORE)
        (result,) = commands.run("move-store", *options, "--from", former, "--to", new, "-v", "--json").document[
            "results"
        ]
        assert result["reason"] == Reason.MOVE_REQUESTED
        parameters = stage.rig.aws.client("ssm")
        name = "/copies/ci.twokey-journal"
        text = parameters.get_parameter(Name=name)["Parameter"]["Value"].replace('"moved":', '"arriving":')
        parameters.put_parameter(Name=name, Value=text, Type="String", Overwrite=True)
        unfinished = stage.configured(store=SSM)
        (result,) = commands.run("rotate", *unfinished, "--json").document["results"]
        assert result["reason"] == Reason.MOVE_UNFINISHED
        for command in ("plan", "status", "rotate"):
            commands.run(command, *unfinished, terminal=True)
        commands.assert_silent()

    def test_by_a_plan_file_and_the_runs_that_refuse_it(self, stage: Stage, commands: Commands) -> None:
        stage.rig.settled()
        options = stage.filed(PATH)
        file, key = stage.folder / "plan.json", stage.folder / "key.pem"
        key.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        secret = key.read_text().splitlines()[1]
        for signed in ((), ("--sign-with", str(key))):
            commands.run("plan", *options, "--out", str(file), *signed, terminal=True)
            commands.shown += file.read_text().split('"sha256"')[0]
        commands.run("rotate", *options, "--plan", str(file), "--signed-by", str(key))
        commands.run("plan", *options, "--out", str(file))
        commands.run("rotate", *options, "--plan", str(file), "-v")
        commands.run("rotate", *options, "--plan", str(file), "other", terminal=True)
        assert "(plan_changed)" in commands.run("rotate", *options, "--plan", str(file)).out
        stage.rig.aws.advance(4 * 86_400)
        commands.run("rotate", *options, "--plan", str(file))
        file.write_text("changed")
        commands.run("rotate", *options, "--plan", str(file))
        assert secret not in commands.shown
        commands.shown = re.sub(r"\b[0-9a-f]{64}\b", "(a hash)", commands.shown)
        commands.assert_silent()

    def test_by_forget_whatever_it_is_asked(self, stage: Stage, commands: Commands) -> None:
        copy = f"file:{stage.folder}/ci.json"
        stage.rig.settled()
        options = stage.filed((*PATH, "--to", copy))
        commands.run("rotate", *options)
        elsewhere = ("--destination", SSM.format(user="ci"))
        reasons: list[str] = []
        for asked in (("--destination", copy), elsewhere, ("--destination", copy), ("--destination", copy, "--yes")):
            if len(reasons) == 2:
                options = stage.filed(PATH)
                commands.run("plan", *options, terminal=True)
            ran = commands.run("forget", "ci", *options, *asked, "-v", "--json")
            reasons += [result["reason"] for result in ran.document["results"]]
            commands.run("forget", "ci", *options, *asked, terminal=True)
        assert reasons == FORGETTING
        commands.assert_silent()

    def test_of_a_contested_destination(self, stage: Stage, commands: Commands) -> None:
        copy = stage.folder / "ci.json"
        reasons: list[str] = []
        _, former = stage.rig.settled()
        options = stage.filed((*PATH, "--to", f"file:{copy}"))
        commands.run("rotate", *options)
        for _ in range(2):
            copy.write_text(
                json.dumps({"AccessKeyId": former.access_key_id, "SecretAccessKey": former.secret_access_key})
            )
            commands.run("status", *options, terminal=True)
            ran = commands.run("rotate", *options, "-v", "--json")
            reasons += [result["reason"] for result in ran.document["results"]]
            commands.run("plan", *options)
        assert reasons[-1] == Reason.CONTESTED
        commands.run("status", *options, "--check")
        commands.assert_silent()

    @pytest.mark.parametrize("case", BROKEN, ids=str)
    def test_where_the_command_itself_fails(self, stage: Stage, commands: Commands, case: Case) -> None:
        options = case.prepare(stage)
        for command in ("rotate", "plan", "status"):
            ran = commands.run(command, *options)
            assert f"exit {ran.code}" == case.outcome, ran.err
        commands.assert_silent()
