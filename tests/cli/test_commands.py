"""What the commands print, and their exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from support import forked
from support.commands import twokey
from twokey import __version__
from twokey.aws.clock import ServiceClock
from twokey.emulator import Rule
from twokey.rotation import lease

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.forked import Forked
    from support.rig import Rig

STORE = "secretsmanager:machine-users/{user}"
PATH = ("--path", "machine-users", "--store", STORE)


class TestHelp:
    def test_names_every_command_and_what_exit_codes_mean(self) -> None:
        ran = twokey("--help")
        assert ran.code == 0
        for word in ("rotate", "plan", "status", "demo", "emulator", "refused"):
            assert word in ran.out

    @pytest.mark.parametrize("command", ["rotate", "plan", "status", "demo", "emulator"])
    def test_of_each_command_works_without_aws(self, command: str) -> None:
        ran = twokey(command, "--help")
        assert ran.code == 0
        assert "Usage: twokey" in ran.out

    def test_version_is_the_packages(self) -> None:
        assert twokey("--version").out == f"twokey {__version__}\n"

    def test_starts_without_botocore_rich_or_yaml(self) -> None:
        """Start-up counts: nothing heavy is imported before it is needed."""
        code = (
            "import sys; from twokey.cli.main import cli, guarded;"
            "guarded(lambda standalone_mode: cli.main(['--help'], standalone_mode=standalone_mode));"
            "print([m for m in ('botocore', 'rich', 'yaml', 'msgspec', 'moto') if m in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.rstrip().endswith("[]")


class TestRotate:
    def test_prints_one_json_object_as_the_design_says(self, rig: Rig) -> None:
        last, current = rig.settled()
        ran = twokey("rotate", *PATH, "--json")
        assert ran.code == 0
        (result,) = ran.document["results"]
        assert list(ran.document) == ["results", "summary"]
        made = result.pop("current")
        due = result.pop("next_due")
        assert re.fullmatch(r"AKIA[A-Z0-9]{16}", made)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", due)
        assert result == {
            "account": "123456789012",
            "user": "ci",
            "path": "/machine-users/",
            "outcome": "rotated",
            "reason": "due",
            "message": "CURRENT has reached the end of its period.",
            "last": current.access_key_id,
            "removed": [last.access_key_id],
            "destinations": [{"destination": "secretsmanager:machine-users/ci", "outcome": "delivered"}],
            "warnings": [],
        }
        assert ran.document["summary"] == {
            "rotated": 1,
            "completed": 0,
            "retired": 0,
            "not_due": 0,
            "refused": 0,
            "failed": 0,
        }

    def test_prints_plain_lines_where_no_is_interactive(self, rig: Rig) -> None:
        rig.aws.make_user("ci", path="/machine-users/", keys=0)
        ran = twokey("rotate", *PATH)
        assert ran.out.startswith("ci: rotated (no_key). ")
        assert ran.err == "1 rotated.\n"
        assert "\x1b" not in ran.out

    def test_quiet_prints_nothing_where_all_is_well(self, rig: Rig) -> None:
        rig.aws.make_user("ci", path="/machine-users/", keys=0)
        ran = twokey("rotate", *PATH, "--quiet")
        assert (ran.code, ran.out, ran.err) == (0, "", "")

    def test_quiet_still_tells_what_is_wrong(self, rig: Rig) -> None:
        rig.aws.make_user("ci", path="/machine-users/", keys=2)
        ran = twokey("rotate", *PATH, "--quiet")
        assert (ran.code, ran.out) == (3, "")
        assert "cannot_attribute" in ran.err

    def test_verbose_tells_each_step_on_stderr_without_any_secret(self, rig: Rig) -> None:
        rig.aws.make_user("ci", path="/machine-users/", keys=0)
        ran = twokey("rotate", *PATH, "-v")
        stored = rig.stored()
        assert stored
        for step in ("lease", "intent", "create", "verify", "store", "commit"):
            assert f"ci: {step}" in ran.err
        assert stored.secret_access_key not in ran.out + ran.err

    def test_says_what_it_waits_for_and_until_when(
        self, rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ServiceClock.__init__, "__defaults__", rig.time())
        config = tmp_path / "twokey.yaml"
        config.write_text(f"version: 1\nsettle: 10m\nmachine_users:\n  - path: /machine-users/\n    store: {STORE}\n")
        rig.settled()
        assert rig.killed_at("create", "done")
        ran = twokey("rotate", "--config", str(config))
        assert re.search(r"ci: a key was created a moment ago; .* until \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\n", ran.err)

    def test_takes_the_path_with_or_without_slashes(self, rig: Rig) -> None:
        rig.aws.make_user("ci", path="/machine-users/", keys=0)
        for path in ("machine-users", "/machine-users", "machine-users/", "/machine-users/"):
            assert twokey("rotate", "--path", path, "--store", STORE).code == 0

    def test_failed_beats_refused(self, rig: Rig) -> None:
        rig.aws.make_user("refused", path="/machine-users/", keys=2)
        rig.aws.make_user("works", path="/machine-users/", keys=0)
        ran = twokey("rotate", "refused", "works", "nobody", "--store", STORE, "--json")
        assert ran.code == 1
        assert ran.outcomes == {"refused": "refused", "works": "rotated", "nobody": "failed"}

    def test_takes_everything_from_the_configuration_file(
        self, rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "twokey.yaml").write_text(
            f"version: 1\nmachine_users:\n  - path: /machine-users/\n    except: [legacy-*]\n    store: {STORE}\n"
        )
        rig.aws.make_user("ci", path="/machine-users/", keys=0)
        rig.aws.make_user("cd", path="/machine-users/", keys=0)
        rig.aws.make_user("legacy-one", path="/machine-users/", keys=0)
        assert twokey("rotate", "ci", "--json").outcomes == {"ci": "rotated"}
        assert twokey("rotate", "--json").outcomes == {"cd": "rotated", "ci": "not_due"}
        legacy = twokey("rotate", "legacy-one")
        assert legacy.code == 1
        assert "No entry of the configuration covers" in legacy.out

    def test_reads_every_page_of_users(self, rig: Rig) -> None:
        from twokey.emulator import Emulator

        rig.aws.stop()
        with Emulator(page_size=2) as aws, pytest.MonkeyPatch.context() as patch:
            for name, value in aws.environment().items():
                patch.setenv(name, value)
            for number in range(7):
                aws.make_user(f"ci-{number}", path="/machine-users/", keys=0)
            ran = twokey("rotate", *PATH, "--json")
        assert len(ran.outcomes) == 7
        assert set(ran.outcomes.values()) == {"rotated"}


class TestPlan:
    def test_says_what_rotate_would_do_and_changes_nothing(self, rig: Rig) -> None:
        last, current = rig.settled()
        rig.aws.clear_requests()
        ran = twokey("plan", *PATH, "--json")
        (result,) = ran.document["results"]
        assert (ran.code, result["outcome"], result["reason"]) == (0, "rotated", "due")
        assert result["actions"] == [
            f"delete {last.access_key_id}",
            "create a key, verify it, store it",
            f"commit; LAST is {current.access_key_id}",
        ]
        assert {r.operation for r in rig.aws.requests} == {
            "ListUsers",
            "ListAccessKeys",
            "GetAccessKeyLastUsed",
            "DescribeSecret",
            "GetSecretValue",
        }

    def test_exits_with_4_where_changes_are_planned_if_asked_to(self, rig: Rig) -> None:
        rig.settled()
        assert twokey("plan", *PATH, "--detailed-exitcode").code == 4
        assert twokey("rotate", *PATH).code == 0
        assert twokey("plan", *PATH, "--detailed-exitcode").code == 0

    def test_is_refused_where_the_rotation_would_be(self, rig: Rig) -> None:
        rig.aws.make_user("ci", path="/machine-users/", keys=2)
        assert twokey("plan", *PATH, "--detailed-exitcode").code == 3

    def test_is_refused_while_another_run_is_rotating_the_user(self, rig: Rig) -> None:
        rig.settled()
        _leave_a_lease(rig)
        ran = twokey("plan", *PATH, "--json")
        (result,) = ran.document["results"]
        assert (ran.code, result["outcome"], result["reason"]) == (3, "refused", "lease_held")
        assert twokey("rotate", *PATH, "--no-wait").code == 3

    def test_quiet_still_tells_what_would_be_refused(self, rig: Rig) -> None:
        rig.aws.make_user("ci", path="/machine-users/", keys=2)
        ran = twokey("plan", *PATH, "--quiet")
        assert (ran.code, ran.out) == (3, "")
        assert "ci: will be refused" in ran.err

    def test_a_retired_key_that_is_misspelt_is_refused(self, rig: Rig) -> None:
        rig.settled()
        ran = twokey("rotate", *PATH, "--retire", "AKIAAAAAAAAAAAAAAAAA", "--json")
        assert ran.code == 3
        assert ran.document["results"][0]["reason"] == "retire_unknown"


class TestStatus:
    def test_shows_each_key_with_its_role_and_who_holds_it(self, rig: Rig) -> None:
        last, current = rig.settled()
        rig.aws.set_last_used(current.access_key_id, 3600, service="s3")
        ran = twokey("status", *PATH, "--json")
        (entry,) = ran.document["users"]
        assert ran.code == 0
        assert [(key["id"], key["role"], key["held_by"]) for key in entry["keys"]] == [
            (last.access_key_id, "last", []),
            (current.access_key_id, "current", ["secretsmanager:machine-users/ci"]),
        ]
        assert entry["keys"][1]["last_used_service"] == "s3"
        assert entry["next"] == "due now"
        assert [problem.partition(":")[0] for problem in entry["problems"]] == [
            "The window is broken",
            "The window will be broken",
        ]
        assert f"{last.access_key_id} is 31d old, and no key may be older than 30d." in entry["problems"][0]
        assert current.access_key_id in entry["problems"][1]

    def test_says_what_is_wrong(self, rig: Rig) -> None:
        rig.aws.make_user("ci", path="/machine-users/", keys=2)
        ran = twokey("status", *PATH)
        assert "ci: will be refused (cannot_attribute): the operator must act" in ran.out
        assert "twokey cannot determine which is in use" in ran.out

    def test_shows_a_user_that_was_left_in_the_middle(self, rig: Rig) -> None:
        rig.settled()
        assert rig.killed_at("create", "done")
        ran = twokey("status", *PATH, "--json")
        (entry,) = ran.document["users"]
        assert "orphaned" in [key["role"] for key in entry["keys"]]
        assert any("interrupted" in problem for problem in entry["problems"])

    def test_writes_nothing(self, rig: Rig) -> None:
        rig.settled()
        rig.aws.clear_requests()
        twokey("status", *PATH)
        assert all(r.operation.startswith(("List", "Get", "Describe")) for r in rig.aws.requests)

    def test_fails_where_something_cannot_be_read(self, rig: Rig) -> None:
        ran = twokey("status", "nobody", "--store", STORE)
        assert ran.code == 1
        assert "no IAM user nobody" in ran.out


class TestARealProcess:
    def test_killed_after_create_is_repaired_by_the_next(self, rig: Rig, tmp_path: Path) -> None:
        _, current = rig.settled()
        config = tmp_path / "twokey.yaml"
        config.write_text(f"version: 1\nsettle: 0s\nmachine_users:\n  - path: /machine-users/\n    store: {STORE}\n")
        rule = rig.aws.weather.add(Rule("iam:CreateAccessKey", effect="hold_after"))
        with _process("rotate", cwd=tmp_path) as process:
            rig.aws.weather.wait_until_held(300)
            process.kill()
            process.wait()
        rig.aws.weather.remove(rule)
        rig.aws.weather.release()
        (orphan,) = set(rig.ids()) - {current.access_key_id}
        ran = twokey("rotate", "--config", str(config), "--json")
        (result,) = ran.document["results"]
        assert (ran.code, result["outcome"], result["reason"]) == (0, "rotated", "interrupted")
        assert result["removed"] == [orphan]

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_interrupted_ends_the_user_under_way_and_says_what_that_means(
        self, rig: Rig, number: signal.Signals, code: int, tmp_path: Path
    ) -> None:
        rig.settled()
        rig.aws.weather.add(Rule("iam:CreateAccessKey", effect="hold_after"))
        with _process("rotate", *PATH, cwd=tmp_path) as process:
            rig.aws.weather.wait_until_held(300)
            process.send_signal(number)
            assert process.stderr
            assert process.stderr.readline().startswith("Ending: no further user is begun")
            assert process.poll() is None
            rig.aws.weather.release()
            _, err = process.communicate(timeout=300)
        assert process.returncode == code, err
        assert "Interrupted. Completed changes remain" in err
        assert "Traceback" not in err
        stored = rig.stored()
        assert stored
        assert rig.aws.authenticates(stored)
        assert len(rig.ids()) == 2

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_interrupted_while_it_waits_for_another_run_ends_at_once_and_says_what_became_of_each_user(
        self, rig: Rig, number: signal.Signals, code: int, tmp_path: Path
    ) -> None:
        rig.settled()
        rig.aws.make_user("next", path="/machine-users/", keys=0)
        _leave_a_lease(rig)
        _leave_a_lease(rig, "next")
        with _process("rotate", *PATH, "--json", "--concurrency", "1", cwd=tmp_path) as process:
            assert process.stderr
            assert "another run is rotating this user" in process.stderr.readline()
            process.send_signal(number)
            out, err = process.communicate(timeout=lease.LENGTH.total_seconds() / 3)  # it does not wait for the lease
        assert process.returncode == code, err
        assert "Interrupted. Completed changes remain" in err
        assert [result["reason"] for result in json.loads(out)["results"]] == ["stopped", "stopped"]

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_status_interrupted_shows_the_user_under_way_and_says_what_became_of_the_others(
        self, rig: Rig, number: signal.Signals, code: int, tmp_path: Path
    ) -> None:
        rig.settled()
        rig.settled("next")
        rig.aws.weather.add(Rule("iam:ListAccessKeys", effect="hold_before"))
        with _process("status", *PATH, "--json", "--concurrency", "1", cwd=tmp_path) as process:
            rig.aws.weather.wait_until_held(300)
            process.send_signal(number)
            assert process.stderr
            assert process.stderr.readline().startswith("Ending: no further user is begun")
            rig.aws.weather.release()
            out, err = process.communicate(timeout=300)
        assert process.returncode == code, err
        assert "Interrupted. Completed changes remain" in err
        assert "Traceback" not in err
        shown, stopped = json.loads(out)["users"]
        assert (shown["user"], len(shown["keys"]), shown["readable"]) == ("ci", 2, True)
        assert (stopped["user"], stopped["keys"], stopped["readable"]) == ("next", [], False)
        assert "stopped" in stopped["problems"][0]

    def test_whose_reader_goes_away_says_nothing_unseemly(self, rig: Rig, tmp_path: Path) -> None:
        rig.settled()
        with _process("status", *PATH, cwd=tmp_path) as process:
            assert process.stdout
            process.stdout.close()
            assert process.stderr
            err = process.stderr.read()
        assert "Traceback" not in err


def _leave_a_lease(rig: Rig, user: str = "ci") -> None:
    """Leave the lease of a run on another machine."""
    with mock.patch.object(lease, "_host", return_value="elsewhere boot pid"):
        assert rig.killed_at("create", "done", user)


def _process(*arguments: str, cwd: Path) -> Forked:
    return forked.start(*arguments, cwd=cwd, env=os.environ)


class TestADefectIsReportedForEachUser:
    """With its type and what it means for the keys; its text may hold anything, even a secret."""

    @pytest.fixture
    def printed(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
        from twokey.fleet.run import Run

        def defect(*_: object, **__: object) -> None:
            raise LookupError(rig.aws.admin.secret_access_key)

        rig.settled()
        monkeypatch.setattr(Run, "world", defect)
        return lambda command: re.sub(r"\s+", " ", twokey(command, *PATH).out)

    @pytest.mark.parametrize("command", ["plan", "status", "adopt"])
    def test_by_a_command_that_only_reads_as_one_that_changed_nothing(
        self, printed: Callable[[str], str], command: str
    ) -> None:
        shown = printed(command)
        assert "A defect in twokey (LookupError). Nothing was changed." in shown
        assert "Completed changes" not in shown

    def test_by_one_that_writes_as_one_after_which_the_next_run_continues(self, printed: Callable[[str], str]) -> None:
        shown = printed("rotate")
        assert "A defect in twokey (LookupError). Completed changes remain; the next run continues from there." in shown
