"""Real rotations, with every kind of fault, leave a log without violations and without secrets."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

from audit_log.life import LoggedRig
from simulation.play import virtual_leases
from simulation.states import initial
from simulation.world import USER, Clock, Iam, SimulatedDestination, Sts, copy_of
from support import forked
from support.commands import twokey
from twokey.audit_log import records
from twokey.audit_log.chain import Link, links
from twokey.audit_log.log import AuditLog
from twokey.audit_log.trail import Trail
from twokey.audit_log.verification import verify
from twokey.emulator import Emulator, Rule
from twokey.planning.plan import Overrides
from twokey.rotation import rotate
from twokey.rotation.world import World as RotationWorld

if TYPE_CHECKING:
    from pathlib import Path

    from audit_log.life import Life
    from simulation.world import World
    from support.rig import Rig

STORE = "secretsmanager:machine-users/{user}"
PATH = ("--path", "/machine-users/", "--store", STORE)


def lines(file: Path) -> list[Any]:
    """Return the records of a complete log."""
    of_file = list(links(file))
    assert all(isinstance(one, Link) and not one.finding for one in of_file)
    return [one.record for one in of_file if isinstance(one, Link)]


class TestAWholeLife:
    def test_keeps_to_the_protocol_by_its_log(self, life: Life) -> None:
        assert life.ended == {
            "first": "rotated (no_key)",
            "again-at-once": "not_due (not_due)",
            "second": "rotated (due)",
            "third": "rotated (due)",
            "repair-orphan": "rotated (interrupted)",
            "repair-stored": "completed (interrupted)",
            "not-delivered": "failed (delivery_failed)",
            "delivered-later": "completed (interrupted)",
            "not-verified": "failed (not_verified)",
            "after-not-verified": "rotated (due)",
            "soak-begins": "retired (soak)",
            "soaked": "rotated (due)",
            "in-a-hurry": "rotated (forced)",
            "refused": "refused (unmanaged_key)",
            "retired": "rotated (due)",
            "last": "rotated (due)",
        }
        report = verify(life.log)
        assert (report.findings, report.elsewhere) == ((), ())
        assert report.runs == len(life.ended) + 1  # two that were killed, and one in which nothing was due
        assert report.lines == len(life.log.read_bytes().splitlines())
        assert life.stored
        assert life.stored.secret_access_key not in life.log.read_text()

    def test_has_exactly_the_effects_that_took_place(self, rig: Rig, tmp_path: Path) -> None:
        """Every change that was sent to AWS has its line, and every line its change."""
        rig.settled()
        file = tmp_path / "audit.log"
        rig.aws.clear_requests()
        assert twokey("rotate", *PATH, "--audit-log", str(file)).code == 0
        effects = [one.effect for one in lines(file) if isinstance(one, records.Begin)]
        assert effects == ["journal", "delete", "journal", "create", "store", "journal"]
        sent = [r.operation for r in rig.aws.requests]
        assert sent.count("DeleteAccessKey") == sent.count("CreateAccessKey") == 1

    def test_names_the_run_as_cloudtrail_does(self, rig: Rig, tmp_path: Path) -> None:
        rig.settled()
        file = tmp_path / "audit.log"
        twokey("rotate", *PATH, "--audit-log", str(file))
        (run,) = [one.run for one in lines(file) if isinstance(one, records.Began)]
        agents = {r.user_agent for r in rig.aws.requests if r.operation == "CreateAccessKey"}
        assert len(agents) == 1
        assert f"twokey/{run}" in agents.pop()


class TestAUrlThatMeansAnotherThingElsewhere:
    @pytest.mark.parametrize("url", ["file:ci.json", "ssm:/jobs/ci"])
    def test_is_two_destinations_by_the_log_too(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
    ) -> None:
        def go(name: str, region: str) -> None:
            (tmp_path / name).mkdir(exist_ok=True)
            monkeypatch.chdir(tmp_path / name)
            monkeypatch.setenv("AWS_REGION", region)

        with Emulator() as aws:
            for name, value in aws.environment().items():
                monkeypatch.setenv(name, value)
            rig = LoggedRig(aws, tmp_path / "audit.log")
            rig.store_url, rig.deliver = f"file:{tmp_path}/store.json", (url,)
            aws.make_user("ci", keys=0)
            go("one", "eu-central-1")
            ended = [rig.rotate(run="first").outcome]
            go("two", "us-east-1")
            ended += [rig.rotate(run="moved").outcome]
            for run in ("second", "refused"):
                rig.later(days=16)
                ended += [rig.rotate(run=run).outcome]
            go("one", "eu-central-1")
            ended += [rig.rotate(run="back").outcome]
        assert ended == ["rotated", "completed", "rotated", "refused", "completed"]
        assert verify(rig.file).findings == ()


class TestTheCommand:
    def test_writes_nothing_but_the_first_line_where_nothing_is_due(self, rig: Rig, tmp_path: Path) -> None:
        rig.aws.make_user("ci", keys=0)
        assert twokey("rotate", *PATH).code == 0
        file = tmp_path / "audit.log"
        ran = twokey("rotate", *PATH, "--audit-log", str(file))
        assert (ran.code, ran.err) == (0, "1 not due.\n")
        assert [type(one) for one in lines(file)] == [records.Opened]
        assert stat.S_IMODE(file.stat().st_mode) == 0o600

    def test_takes_the_file_from_the_configuration(
        self, rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "twokey.yaml").write_text(
            f"version: 1\naudit_log: audit.log\nmachine_users:\n  - path: /machine-users/\n    store: {STORE}\n"
        )
        rig.aws.make_user("ci", keys=0)
        assert twokey("rotate").code == 0
        assert verify(tmp_path / "audit.log").effects == 5
        rig.aws.make_user("cd", keys=0)
        assert twokey("rotate", "--audit-log", "other.log").code == 0
        assert verify(tmp_path / "audit.log").effects == 5
        assert verify(tmp_path / "other.log").effects == 5

    def test_says_the_head_that_verify_then_expects(self, rig: Rig, tmp_path: Path) -> None:
        rig.aws.make_user("ci", keys=0)
        file = str(tmp_path / "audit.log")
        head = twokey("rotate", *PATH, "--audit-log", file).err.split()[-1].rstrip(".")
        ran = twokey("audit-log", "verify", file, "--expect-head", head)
        assert ran.code == 0
        assert head in ran.out

    def test_calls_nothing_where_the_log_cannot_be_written(self, rig: Rig, tmp_path: Path) -> None:
        rig.settled()
        rig.aws.clear_requests()
        ran = twokey("rotate", *PATH, "--audit-log", str(tmp_path / "missing" / "audit.log"))
        assert ran.code == 2
        assert "Its directory does not exist" in ran.err
        assert "Nothing was called" in ran.err
        assert rig.aws.requests == []

    def test_names_the_line_of_a_log_that_cannot_be_written(
        self, rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        log = tmp_path / "missing" / "audit.log"
        entry = "machine_users:\n  - path: /machine-users/\n    store: secretsmanager:machine-users/{user}\n"
        (tmp_path / "twokey.yaml").write_text(f"version: 1\n{entry}audit_log: {log}\n")
        for command in (("rotate",), ("adopt", "--yes")):
            ran = twokey(*command)
            assert ran.code == 2
            said = f"Error: twokey.yaml line 5: `audit_log`: The audit log {log} cannot be written: Its directory does"
            assert ran.err.startswith(said)
        assert rig.aws.requests == []

    def test_tells_many_users_in_one_chain(self, rig: Rig, tmp_path: Path) -> None:
        for number in range(8):
            rig.aws.make_user(f"ci-{number}", keys=number % 2)
        file = tmp_path / "audit.log"
        assert twokey("rotate", *PATH, "--audit-log", str(file)).code == 0
        report = verify(file)
        assert (report.findings, report.runs, report.effects) == ((), 1, 8 * 5)


def test_every_effect_finds_its_line_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before any effect takes place, everything that was written is synchronised."""
    file = tmp_path / "audit.log"
    synchronised = [0]
    real = os.fdatasync

    def fdatasync(fd: int) -> None:
        real(fd)
        synchronised.append(os.fstat(fd).st_size)

    def judge(_world: World, what: str, _key: str) -> None:
        if what != "about to delete":
            seen.append(what)
            assert synchronised[-1] == file.stat().st_size, what

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    seen: list[str] = []
    start, policy = initial("two keys", 2)
    world = copy_of(start, judge=judge)
    log = AuditLog.open(file)
    edge: Any = Iam(world, "run")
    outside = RotationWorld(
        iam=edge,
        sts=Sts(world),
        clock=Clock(world),
        store=SimulatedDestination(world, "run", "store"),
        destinations=(SimulatedDestination(world, "run", "second"),),
    )
    with virtual_leases(world):
        recorded = Trail(log, "run", Clock(world)).watch(USER, policy, Overrides(), outside)
        assert rotate.rotate(USER, policy, recorded).outcome == "rotated"
    assert seen == ["lease", "delete", "journal", "create", "store", "journal", "deliver to second", "journal"]


class TestADiskThatIsFull:
    @pytest.mark.parametrize("room", [600, 1500, 3000, 4500])
    def test_ends_the_run_before_the_next_effect(self, rig: Rig, tmp_path: Path, room: int) -> None:
        """The limit stands in for a full disk: a write that does not fit is cut off, and fails."""
        _, current = rig.settled()
        file = tmp_path / "audit.log"
        code = (
            "import resource, sys; from twokey.cli.main import cli, guarded;"
            f"resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}));"
            "sys.exit(guarded(lambda standalone_mode: cli.main(sys.argv[1:], 'twokey', "
            "standalone_mode=standalone_mode)))"
        )
        rig.aws.clear_requests()
        arguments = ("rotate", *PATH, "--audit-log", str(file))
        run = forked.start(*arguments, cwd=tmp_path, env=os.environ, program=code)
        out, err = run.communicate(timeout=300)
        assert run.returncode == 1, err
        assert "The audit log" in out
        assert "no further change was begun" in out
        effects = [one.effect for one in _readable(file) if isinstance(one, records.Begin)]
        assert [r.operation for r in rig.aws.requests].count("DeleteAccessKey") == effects.count("delete")
        assert [r.operation for r in rig.aws.requests].count("CreateAccessKey") == effects.count("create")
        stored = rig.stored()
        assert stored
        assert rig.aws.authenticates(stored)
        assert current.access_key_id in rig.ids()

    def test_leaves_an_incomplete_line_that_the_next_run_records(self, rig: Rig, tmp_path: Path) -> None:
        self.test_ends_the_run_before_the_next_effect(rig, tmp_path, 3000)
        file = tmp_path / "audit.log"
        assert verify(file).findings[0].message.startswith(f"line {verify(file).lines} is incomplete")
        assert twokey("rotate", *PATH, "--audit-log", str(file)).code == 0
        report = verify(file)
        assert (report.findings, report.torn) == ((), 1)
        assert "1 line was torn by a crash" in twokey("audit-log", "verify", str(file)).out


class TestAProcessThatIsKilled:
    def test_leaves_a_log_that_the_next_run_goes_on_with(self, rig: Rig, tmp_path: Path) -> None:
        rig.settled()
        config = tmp_path / "twokey.yaml"
        config.write_text(
            "version: 1\nsettle: 0s\naudit_log: audit.log\n"
            f"machine_users:\n  - path: /machine-users/\n    store: {STORE}\n"
        )
        file = tmp_path / "audit.log"
        rule = rig.aws.weather.add(Rule("iam:CreateAccessKey", effect="hold_after"))
        with forked.start("rotate", cwd=tmp_path, env=os.environ) as run:
            rig.aws.weather.wait_until_held(300)
            run.kill()
        rig.aws.weather.remove(rule)
        rig.aws.weather.release()
        last = lines(file)[-1]
        assert isinstance(last, records.Begin)
        assert last.effect == "create"
        assert verify(file).interrupted == (last.seq,)
        ran = twokey("rotate", "--config", str(config), "--audit-log", str(file), "--json")
        assert ran.outcomes == {"ci": "rotated"}
        report = verify(file)
        assert (report.findings, report.interrupted, report.runs) == ((), (last.seq,), 2)
        assert f"line {last.seq} has no end" in twokey("audit-log", "verify", str(file)).out


def _readable(file: Path) -> list[Any]:
    return [one.record for one in links(file) if isinstance(one, Link)]
