"""``status --check``: one line and an exit code for a monitoring system."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import msgspec
import pytest

from support.commands import Ran, twokey
from support.rig import DAY
from twokey.core.journal import Lease
from twokey.reports.check import EXIT_CODES, LEVELS, level_of, summary
from twokey.reports.documents import Finding

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.rig import Rig

CONFIG = """
version: 1
machine_users:
  - path: /machine-users/
    store: secretsmanager:machine-users/{user}
    deliver: ["ssm:/ci/{user}"]
"""


@pytest.fixture
def rotated(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """Two users with a configuration, rotated just now."""
    monkeypatch.chdir(tmp_path)
    for name in ("build", "site"):
        rig.aws.make_user(name, path="/machine-users/", keys=0)
    Path("twokey.yaml").write_text(CONFIG)
    assert twokey("rotate").code == 0
    return rig


def check(*more: str) -> Ran:
    return twokey("status", "--check", *more)


def journal(rig: Rig, **changes: Any) -> None:
    store = rig.store("site")
    record = store.load()
    store.save_journal(msgspec.structs.replace(record.journal, **changes), record.revision)


def overwrite(rig: Rig, value: str) -> None:
    rig.aws.client("ssm").put_parameter(Name="/ci/site", Value=value, Type="SecureString", Overwrite=True)


def late(rig: Rig) -> None:
    moment = rig.aws.now().replace(microsecond=0)
    journal(rig, committed=moment - timedelta(days=15, hours=1))
    rig.aws.age_key(rig.held("site"), 15 * DAY)


def broken_window(rig: Rig) -> None:
    rig.aws.age_key(rig.held("site"), 31 * DAY)


def another_key(rig: Rig) -> None:
    """Another program restores a key that IAM still lists."""
    key = rig.aws.client("iam").create_access_key(UserName="site")["AccessKey"]
    overwrite(rig, json.dumps({"AccessKeyId": key["AccessKeyId"], "SecretAccessKey": key["SecretAccessKey"]}))


def inactive(rig: Rig) -> None:
    rig.aws.client("iam").update_access_key(UserName="site", AccessKeyId=rig.held("site"), Status="Inactive")


def deleted(rig: Rig) -> None:
    rig.aws.client("ssm").delete_parameter(Name="/ci/site")


def unknown_key(rig: Rig) -> None:
    overwrite(rig, json.dumps({"AccessKeyId": "AKIAIOSFODNN7EXAMPLE", "SecretAccessKey": "x" * 40}))


@pytest.mark.parametrize(
    ("happens", "code", "level", "finding"),
    [
        (late, 1, "late", "late"),
        (another_key, 1, "late", "out_of_date"),
        (broken_window, 2, "broken", "window_broken"),
        (inactive, 2, "broken", "job_fails"),
        (deleted, 2, "broken", "job_fails"),
        (unknown_key, 2, "broken", "job_fails"),
    ],
)
def test_exits_by_what_is_wrong_and_names_the_user(
    rotated: Rig, happens: Callable[[Rig], None], code: int, level: str, finding: str
) -> None:
    happens(rotated)
    rotated.aws.clear_requests()
    ran = check()
    assert ran.code == code
    assert ran.out.startswith(f"{level}: site (")
    assert finding in ran.out
    assert ran.out.endswith("; 1 of 2 users are well\n")
    assert ran.out.count("\n") == 1
    assert not [one for one in rotated.aws.requests if one.operation.startswith(("Put", "Create", "Delete", "Update"))]


def test_is_one_line_where_all_is_well(rotated: Rig) -> None:
    assert rotated
    assert (check().code, check().out) == (0, "2 of 2 users are well\n")
    assert (check("--quiet").code, check("--quiet").out) == (0, "")
    assert check("site").out == "1 user is well\n".replace("1 user", "1 of 1 user")


def test_a_rotation_that_is_due_is_not_late_until_the_slack_is_over(rotated: Rig) -> None:
    moment = rotated.aws.now().replace(microsecond=0)
    journal(rotated, committed=moment - timedelta(days=14, hours=20))
    assert check().code == 0


def test_unknown_is_never_well(rotated: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:9")
    ran = check()
    assert ran.code == 3
    assert ran.out == "unknown: build (unreadable), site (unreadable); 0 of 2 users are well\n"
    monkeypatch.setenv("AWS_ENDPOINT_URL_IAM", "http://127.0.0.1:9")
    assert check().code == 3


@pytest.mark.parametrize("arguments", [("--config", "missing.yaml"), ("nobody",)])
def test_what_cannot_be_looked_at_is_unknown(rotated: Rig, arguments: tuple[str, ...]) -> None:
    assert rotated
    ran = check(*arguments)
    assert ran.code == 3
    assert ran.out.startswith("unknown: ")
    assert ran.out.count("\n") == 1


def test_a_user_that_is_being_rotated_is_well(rotated: Rig) -> None:
    until = rotated.aws.now().replace(microsecond=0) + timedelta(minutes=2)
    journal(rotated, lease=Lease("another", "elsewhere boot pid", 1, "0", until))
    deleted(rotated)
    assert check().code == 0
    broken_window(rotated)
    assert check().code == 2


def test_json_has_the_findings_of_each_user(rotated: Rig) -> None:
    late(rotated)
    ran = check("--json")
    assert ran.code == 1
    assert [(one["user"], one["findings"]) for one in ran.document["users"]] == [("build", []), ("site", ["late"])]
    assert all("findings" in one for one in twokey("status", "--json").document["users"])


@dataclass
class Entry:
    user: str
    findings: list[Finding]


def test_what_is_surely_broken_comes_first_and_few_are_named() -> None:
    entries: Any = [Entry(f"u{number}", ["late"]) for number in range(8)]
    entries += [
        Entry("far", ["unreadable", "late"]),
        Entry("bad", ["late", "job_fails", "unreadable"]),
        Entry("ok", []),
    ]
    level, line = summary(entries, [entry.user for entry in entries])
    assert level == "broken"
    assert line == (
        "broken: bad (late, job_fails, unreadable); unknown: far (unreadable, late); "
        "late: u0 (late), u1 (late), u2 (late), u3 (late), u4 (late) and 3 more; 1 of 11 users are well"
    )


def test_every_finding_has_a_level() -> None:
    assert set(LEVELS) == set(get_args(Finding))
    found: list[list[Finding]] = [[], ["late"], ["job_fails"], ["unreadable"]]
    assert [EXIT_CODES[level_of(one)] for one in found] == [0, 1, 2, 3]


def test_a_destination_that_another_program_keeps_writing_to_is_named_by_every_command(rotated: Rig) -> None:
    overwrite(rotated, "{}")
    assert twokey("rotate").code == 0
    overwrite(rotated, "{}")
    planned = twokey("plan", "--json")
    (_, site) = json.loads(planned.out)["results"]
    assert (planned.code, site["outcome"], site["reason"]) == (1, "failed", "contested")
    (_, site) = json.loads(twokey("status", "--json").out)["users"]
    assert "contested" in site["findings"]
    assert "Another program keeps writing to ssm:/ci/site" in " ".join(site["problems"])
    assert "contested" in check().out
    ran = twokey("rotate")
    assert (ran.code, "failed (contested)" in ran.out + ran.err) == (1, True)
    assert twokey("rotate").code == 0


def test_what_is_typed_wrongly_is_unknown_and_not_broken() -> None:
    """A monitor would take click's exit code, 2, for a broken window."""
    for arguments in (("--bogus",), ("--path",)):
        ran = check(*arguments)
        assert (ran.code, ran.err) == (3, "")
        assert ran.out.startswith("unknown: ")
        assert ran.out.count("\n") == 1
    assert twokey("status", "--bogus").code == 2


def test_a_defect_of_twokey_is_unknown_and_not_late(rotated: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rotated

    def defect(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("twokey.fleet.roster.select", defect)
    ran = check()
    assert (ran.code, ran.out) == (3, "unknown: twokey itself failed (ZeroDivisionError)\n")
    assert "Please report these lines" in ran.err


def test_a_rotator_that_has_never_run_shows(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No journal says when the latest commit was: CURRENT's age does."""
    monkeypatch.chdir(tmp_path)
    Path("twokey.yaml").write_text(CONFIG.partition("    deliver")[0])
    (key,) = rig.aws.make_user("site", path="/machine-users/", keys=1, ages=(14.9 * DAY,))
    rig.fill(key, "site")
    assert "late" not in check().out.replace("late:", "")
    rig.aws.age_key(key.access_key_id, 15.1 * DAY)
    ran = check()
    assert (ran.code, "late" in ran.out) == (1, True)
    rig.aws.age_key(key.access_key_id, 31 * DAY)
    assert check().code == 2


def test_a_rotator_that_has_stopped_shows_when_the_slack_is_over(rotated: Rig) -> None:
    for days, code in ((14.4, 0), (15.1, 1), (31, 2)):
        moment = rotated.aws.now().replace(microsecond=0)
        journal(rotated, committed=moment - timedelta(days=days))
        rotated.aws.age_key(rotated.held("site"), days * DAY)
        assert check("site").code == code, days
