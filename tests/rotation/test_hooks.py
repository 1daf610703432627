"""The operator's programs around a rotation: when they run, what they are told, what their failure means."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from support.commands import Ran, twokey
from support.rig import Killed, dead_processes_release_their_lease
from twokey.aws import clients
from twokey.aws.clock import ServiceClock
from twokey.core.hooks import Hook
from twokey.emulator import Rule
from twokey.fleet.hooks import Programs
from twokey.rotation import rotate as rotation

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.rig import Rig

CONFIG = """
version: 1
machine_users:
  - users: [ci]
    store: secretsmanager:machine-users/{user}
    deliver: ["ssm:/ci/{user}"]
    hooks: %s
"""
PROGRAM = """#!/bin/sh
printf '%s\\t' "$TWOKEY_HOOK" >> {log}
cat >> {log}
echo >> {log}
{then}
"""


class Hooks:
    """A program that records each call, and what it is to do then; and a configuration with it."""

    def __init__(self, rig: Rig, folder: Path) -> None:
        self.rig = rig
        self.log = folder / "calls"
        self.path = folder / "hook"
        rig.settled()

    def does(self, then: str = "exit 0") -> None:
        """Let the program do this at its end, from now on; ``$TWOKEY_HOOK`` says which hook it is."""
        self.path.write_text(PROGRAM.format(log=self.log, then=then), encoding="utf-8")
        self.path.chmod(0o755)

    def configured(self, names: str = "before after on_failure", more: str = "") -> None:
        hooks = dict.fromkeys(names.split(), f"{{run: [{self.path}, it's quick], timeout: 20s{more}}}")
        text = ", ".join(f"{name}: {hook}" for name, hook in hooks.items())
        Path("twokey.yaml").write_text(CONFIG % f"{{{text}}}", encoding="utf-8")

    def calls(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the calls since the last question: the hook, and its message."""
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return [(line.split("\t")[0], json.loads(line.split("\t")[1])) for line in lines]

    def names(self) -> list[str]:
        return [name for name, _ in self.calls()]

    def due(self) -> None:
        """Let time pass until the next rotation is due, and LAST may be removed."""
        self.rig.later(days=15)


@pytest.fixture
def hooks(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hooks:
    monkeypatch.chdir(tmp_path)
    found = Hooks(rig, tmp_path)
    found.does()
    found.configured()
    return found


def rotate(*arguments: str, code: int = 0, reason: str = "") -> Any:
    ran: Ran = twokey("rotate", "--json", *arguments)
    assert ran.code == code, ran
    (result,) = ran.document["results"]
    assert not reason or result["reason"] == reason, result
    return result


def test_they_get_ids_and_the_outcome_and_no_secret(hooks: Hooks) -> None:
    last, current = hooks.rig.ids()
    result = rotate()
    (before, told), (after, ended) = hooks.calls()
    assert (before, after) == ("before", "after")
    assert told == {
        "version": 1,
        "hook": "before",
        "account": "123456789012",
        "user": "ci",
        "path": "/machine-users/",
        "store": "secretsmanager:machine-users/ci",
        "destinations": ["ssm:/ci/ci"],
        "outcome": "rotated",
        "reason": "due",
        "message": result["message"],
        "current": current,
        "last": last,
        "removed": [],
    }
    assert (ended["current"], ended["last"], ended["removed"]) == (hooks.rig.held(), current, [last])
    assert hooks.rig.record().journal.hook == ""
    rotate(reason="not_due")
    assert hooks.names() == []


def test_before_runs_ahead_of_any_change_and_its_failure_prevents_the_rotation(hooks: Hooks) -> None:
    hooks.does('echo "consumers are busy" >&2; exit 7')
    keys = hooks.rig.ids()
    result = rotate(code=3, reason="hook_failed")
    assert result["outcome"] == "refused"
    assert (
        f"The hook `before` failed: {hooks.path} ended with exit status 7. It says: consumers are busy."
        in (result["message"])
    )
    assert "No key was changed, and nothing that jobs read" in result["message"]
    assert hooks.names() == ["before", "on_failure"]
    assert hooks.rig.ids() == keys
    assert hooks.rig.record().journal.lease is None
    hooks.configured(more=", on_error: warn")
    result = rotate()
    assert (result["outcome"], len(result["warnings"])) == ("rotated", 2)
    assert hooks.names() == ["before", "after"]
    assert hooks.rig.record().journal.hook == ""


def test_no_hook_runs_where_the_rotation_would_be_refused(hooks: Hooks) -> None:
    last, _ = hooks.rig.ids()
    hooks.rig.aws.set_last_used(last, 60.0)
    assert rotate(code=3, reason="in_use")
    assert hooks.names() == []


def test_after_that_fails_makes_the_run_fail_and_is_run_by_the_next_until_it_succeeds(hooks: Hooks) -> None:
    hooks.does('[ "$TWOKEY_HOOK" != after ] || exit 1')
    result = rotate(code=1, reason="hook_failed")
    assert result["current"] == hooks.rig.held()
    assert "Keys and destinations are as they should be. The next run runs this hook again." in result["message"]
    assert hooks.names() == ["before", "after"], "on_failure is for rotations that do not end well"
    assert hooks.rig.record().journal.committed
    ids = hooks.rig.ids()
    (line,) = [line for line in twokey("status").out.splitlines() if "hook `after`" in line][:1]
    assert "has not succeeded since the latest commit" in line
    assert "interrupted" in twokey("status", "--check").out
    assert "ci: will be completed (hook_due)" in twokey("plan").out
    assert rotate(code=1, reason="hook_failed")["outcome"] == "failed"
    assert hooks.names() == ["after"]
    hooks.does()
    result = rotate(reason="hook_due")
    assert (result["outcome"], result["current"]) == ("completed", hooks.rig.held())
    assert hooks.names() == ["after"]
    assert hooks.rig.ids() == ids
    assert "interrupted" not in twokey("status", "--check").out
    rotate(reason="not_due")
    assert hooks.names() == []


def test_a_pending_after_waits_for_no_rotation_and_a_rotation_does_not_wait_for_it(hooks: Hooks) -> None:
    hooks.does('[ "$TWOKEY_HOOK" != after ] || exit 1')
    rotate(code=1)
    hooks.due()
    hooks.calls()
    before = hooks.rig.held()
    with at_the_time_of(hooks.rig):
        assert "ci: will be rotated (due)" in twokey("plan").out
        rotate(code=1, reason="hook_failed")
    assert hooks.rig.held() != before
    assert hooks.names() == ["before", "after"]


def at_the_time_of(rig: Rig) -> Any:
    """Let commands have the time of the rig."""
    return mock.patch.object(clients, "ServiceClock", return_value=ServiceClock(*rig.time()))


@pytest.mark.parametrize(
    ("step", "phase", "names"),
    [
        ("hook before", "done", ["before", "before", "after"]),
        ("create", "done", ["before", "before", "after"]),
        ("commit", "done", ["before", "after"]),
        ("hook after", "begin", ["before", "after"]),
        ("hook after", "done", ["before", "after", "after"]),
    ],
)
def test_a_run_that_is_killed_is_made_up_for_by_the_next_and_after_runs_at_least_once(
    hooks: Hooks, step: str, phase: str, names: list[str]
) -> None:
    """Killed anywhere: ``before`` runs ahead of each attempt, ``after`` until one has succeeded."""
    programs = Programs({name: Hook((str(hooks.path),), 20.0) for name in ("before", "after")})
    killed = False

    def listen(event: Any) -> None:
        nonlocal killed
        if (event.step.split(" to ")[0], event.phase) == (step, phase) and not killed:
            killed = True
            raise Killed

    def run() -> Any:
        user, world = hooks.rig.world(run=f"run {killed}")
        return rotation.rotate(user, hooks.rig.policy, replace(world, hooks=programs, listener=listen))

    hooks.rig.deliver = ("ssm:/ci/{user}",)
    with mock.patch("twokey.rotation.rotate._give_back"), dead_processes_release_their_lease(), pytest.raises(Killed):
        run()
    assert run().outcome in ("rotated", "completed")
    assert hooks.names() == names
    assert hooks.rig.record().journal.hook == ""
    assert len(hooks.rig.ids()) == 2


def test_on_failure_runs_where_a_rotation_that_has_begun_fails(hooks: Hooks) -> None:
    hooks.rig.aws.weather.add(Rule("iam:CreateAccessKey", effect="error_before", times=None))
    result = rotate(code=1)
    (_, (name, told)) = hooks.calls()
    assert (name, told["outcome"], told["reason"]) == ("on_failure", "failed", result["reason"])
    assert told["removed"] == result["removed"] != []


def test_deliver_runs_them_too_and_forget_does_not(hooks: Hooks) -> None:
    rotate()
    hooks.calls()
    hooks.rig.aws.client("ssm").delete_parameter(Name="/ci/ci")
    assert twokey("deliver").code == 0
    assert hooks.names() == ["before", "after"]
    assert twokey("deliver").code == 0
    assert hooks.names() == [], "nothing was delivered"
    text = Path("twokey.yaml").read_text(encoding="utf-8")
    Path("twokey.yaml").write_text(text.replace('["ssm:/ci/{user}"]', "[]"), encoding="utf-8")
    assert twokey("forget", "ci", "--destination", "ssm:/ci/ci", "--yes").code == 0
    assert hooks.names() == []


def test_a_hook_that_takes_too_long_is_ended(hooks: Hooks) -> None:
    hooks.does("sleep 60")
    hooks.configured("before")
    text = Path("twokey.yaml").read_text(encoding="utf-8")
    Path("twokey.yaml").write_text(text.replace("20s", "0.2s"), encoding="utf-8")
    result = rotate(code=3, reason="hook_failed")
    assert "did not end within 0.2 s; it and its process group were ended" in result["message"]


def _shared(hooks: Hooks) -> None:
    hooks.path.chmod(0o777)


def _missing(hooks: Hooks) -> None:
    hooks.path.unlink()


def _no_interpreter(hooks: Hooks) -> None:
    hooks.path.write_text("#!/nowhere\n", encoding="utf-8")


def _unset(hooks: Hooks) -> None:
    hooks.configured("before", ", env: [CLUSTER_TOKEN]")


@pytest.mark.parametrize(
    ("happens", "says"),
    [
        (_shared, "Remove that permission: chmod go-w"),
        (_missing, "does not exist"),
        (_no_interpreter, "cannot be started"),
        (_unset, "the environment variable CLUSTER_TOKEN is not set"),
    ],
)
def test_a_program_that_cannot_be_run_safely_prevents_the_rotation(
    hooks: Hooks, happens: Callable[[Hooks], None], says: str
) -> None:
    hooks.configured("before")
    happens(hooks)
    assert says in rotate(code=3, reason="hook_failed")["message"]


def test_a_program_gets_only_the_variables_that_are_named_and_none_is_quoted(
    hooks: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLUSTER_TOKEN", "a-token-of-the-cluster-0123456789")
    monkeypatch.setenv("OTHER", "1")
    hooks.configured("before", ", env: [CLUSTER_TOKEN]")
    hooks.does('env >&2; echo "AWS: ${AWS_SECRET_ACCESS_KEY:-none} ${OTHER:-none}" >&2; exit 1')
    message = rotate(code=3)["message"]
    assert "AWS: none none." in message
    assert "a-token-of-the-cluster" not in message
