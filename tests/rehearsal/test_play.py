"""Rehearsals, played: what they say is what happens, and what they advise helps."""

from __future__ import annotations

import socket
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.canaries import suspicious
from support.commands import Ran, twokey
from twokey.cli import rehearse, rehearse_view
from twokey.config.load import from_flags, load
from twokey.core.errors import UsageError
from twokey.emulator import Emulator
from twokey.fleet import drilling
from twokey.planning.policy import RotationPolicy
from twokey.rehearsal import play, verdict, weather
from twokey.rehearsal.options import JobKind, Options
from twokey.reports import documents

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twokey.config.settings import Settings
    from twokey.reports.rehearsal import Rehearsal

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
STORE = "secretsmanager:machine-users/{user}"


def rehearsed(
    tmp_path: Path,
    *,
    users: Sequence[str] = ("ci",),
    store: str = STORE,
    deliver: Sequence[str] = (),
    every_run: bool = False,
    rules: dict[str, Any] | None = None,
    settings: Settings | None = None,
    **options: Any,
) -> Rehearsal:
    """Play users in this process."""
    settings = settings or from_flags(store=store, users=users, deliver=deliver, **(rules or {}))
    parts, found = rehearse.cast(settings, users, as_found=False)
    wanted = Options(**{"days": 3, "every": HOUR, "jobs": (JobKind(HOUR),), **options})
    return rehearse.played(parts, found, wanted, tmp_path, lambda _day, _days: None, every_run=every_run)


def holds_well(result: Rehearsal) -> bool:
    """Say whether each user ends with one key that the store holds, and that works."""
    return all(
        [key.ended for key in user.keys if key.current_from is not None and key.current_until is None] == [None]
        for user in result.users
    )


class TestJobs:
    def test_a_window_too_short_for_the_longest_job_fails_exactly_that_job(self, tmp_path: Path) -> None:
        jobs = (JobKind(HOUR), JobKind(8 * HOUR))
        every = timedelta(minutes=15)
        [user] = rehearsed(tmp_path, rules={"window": "12h"}, jobs=jobs, days=2, every=every).users
        assert [(one.job, one.failed > 0) for one in user.jobs] == [("1h", False), ("8h", True)]
        assert {one.job for one in user.failures} == {"8h"}
        for one in user.failures:
            assert one.started < one.failed_at < one.needed_until
        assert "LAST works for at least 5h 45m after a rotation (grace), and the job needs 8h." in one.remedy
        assert "set the window to at least 17h" in one.remedy
        result = rehearsed(tmp_path, rules={"window": "17h"}, jobs=jobs, days=3, every=every)
        assert result.jobs_failed == 0, "the advice is enough"
        assert result.users[0].rotations > 6

    def test_the_advice_names_the_shortest_grace_where_the_window_allows_it(self) -> None:
        policy = RotationPolicy(requested_grace=timedelta(days=1))
        assert "set grace to at least 2d, which the window of 30d allows" in verdict.remedy(2 * DAY, policy)
        assert "set the window to at least 42d" in verdict.remedy(20 * DAY, policy)
        assert "find out what removed the key earlier" in verdict.remedy(HOUR, policy)

    def test_a_job_that_never_stops_using_last_makes_rotations_late_and_the_advice_ends_that(
        self, tmp_path: Path
    ) -> None:
        jobs = (JobKind(20 * DAY),)
        result = rehearsed(tmp_path, jobs=jobs, days=60, every=timedelta(hours=12))
        [user] = result.users
        assert user.late
        assert result.jobs_failed == 0
        assert "LAST is still in use" in user.late[0].message
        assert "set the window to at least 45d" in user.late[0].remedy
        result = rehearsed(tmp_path, rules={"window": "45d"}, jobs=jobs, days=60, every=timedelta(hours=12))
        assert result.late == 0

    def test_a_job_that_survived_by_luck_is_named(self, tmp_path: Path) -> None:
        jobs, every = (JobKind(8 * HOUR, DAY),), timedelta(minutes=5)
        result = rehearsed(tmp_path, rules={"window": "12h"}, jobs=jobs, days=1, every=every)
        assert (result.jobs_started, result.jobs_failed) == (1, 0)
        assert any("a job of 8h/1d is longer than the grace of 5h 45m. None failed here" in one for one in result.notes)


class TestOutages:
    def test_an_outage_makes_rotations_late_and_no_job_fails(self, tmp_path: Path) -> None:
        result = rehearsed(tmp_path, days=40, every=timedelta(hours=12), outage=20 * DAY, jobs=(JobKind(6 * HOUR),))
        [user] = result.users
        assert result.outage is not None
        assert result.outage.until - result.outage.since == 20 * 86_400
        assert (result.jobs_failed, result.missed) == (0, 40)
        [late] = user.late
        assert late.late_by >= 20 * 86_400
        assert "no job lost its key, however long an outage lasts" in late.message
        assert "The oldest key that worked reached 34d" in late.message
        assert user.oldest_key > 34 * 86_400

    def test_a_user_that_no_run_can_rotate_is_late_from_the_beginning(self, tmp_path: Path) -> None:
        # A new key works after two seconds here.
        (tmp_path / "twokey.yaml").write_text(
            "version: 1\nverify: {timeout: 1s, successes: 1}\nmachine_users: [{users: [ci], store: 'ssm:/m/{user}'}]"
        )
        settings = load(tmp_path / "twokey.yaml")
        result = rehearsed(tmp_path, settings=settings, days=1, every=6 * HOUR)
        assert result.rotations == 0
        [late] = result.users[0].late
        assert (late.due, late.done) == (0, None)
        assert not result.well
        [late] = rehearsed(tmp_path, settings=settings, days=1, every=6 * HOUR, outage=12 * HOUR).users[0].late
        assert "No run took place" in late.message
        assert "reached" not in late.message, "there was no key whose age could be named"

    def test_one_that_lasts_to_the_end_leaves_the_rotation_undone(self, tmp_path: Path) -> None:
        result = rehearsed(tmp_path, days=20, every=timedelta(hours=12), outage=90 * DAY)
        assert [one.done for one in result.users[0].late] == [None]
        assert not result.well


class TestFaults:
    def test_nothing_is_lost_and_the_same_seed_repeats_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(weather, "CHANCE", 0.9)
        options: dict[str, Any] = {"days": 5, "every": HOUR, "faults": True, "seed": 5, "rules": {"window": "1d"}}
        result = rehearsed(tmp_path, deliver=["github:acme/site"], **options)
        assert (result.jobs_failed, holds_well(result)) == (0, True)
        assert result.rotations > 7
        assert set(result.weather) == set(weather.KINDS)
        outcomes = {run.outcome for user in result.users for run in user.runs}
        assert {"rotated", "killed", "completed", "refused"} <= outcomes
        again = rehearsed(tmp_path, deliver=["github:acme/site"], **options)
        assert documents.encode(again) == documents.encode(result)

    def test_what_met_the_first_of_the_runs_is_not_taken_for_why_they_refuse(self, tmp_path: Path) -> None:
        # With this seed, the run in which LAST is first in use meets errors; those after it meet nothing.
        jobs = (JobKind(20 * DAY, 6 * HOUR),)
        result = rehearsed(tmp_path, jobs=jobs, days=37, every=timedelta(hours=6), faults=True)
        [user] = result.users
        refused = next(run for run in user.runs if run.outcome == "refused")
        assert refused.weather is not None
        [late] = user.late
        assert late.message.startswith("It was refused: LAST is still in use: key B (Active, ")
        assert "set the window to at least 45d" in late.remedy
        [strip] = [line for line in rehearse_view.strips(user, result, 74).values() if "?" in line]
        assert strip.count("?") > 10, "every run that refuses is marked"

    def test_runs_that_are_not_played_would_have_done_nothing(self, tmp_path: Path) -> None:
        options: dict[str, Any] = {
            "days": 2,
            "every": HOUR,
            "jobs": (JobKind(8 * HOUR), JobKind(HOUR)),
            "rules": {"window": "1d", "soak": "1h"},
        }
        some = rehearsed(tmp_path, **options)
        every = rehearsed(tmp_path, every_run=True, **options)
        assert every.requests > 2 * some.requests
        for one, other in zip(some.users, every.users, strict=True):
            assert len(one.keys) == len(other.keys) > 4
            for key, same in zip(one.keys, other.keys, strict=True):
                assert key.end == same.end
                for moment, its in zip(_moments(key), _moments(same), strict=True):
                    assert abs(moment - its) < 60, "requests take time, and there are more of them"
            assert [(late.due // 60, late.late_by // 60) for late in one.late] == [
                (late.due // 60, late.late_by // 60) for late in other.late
            ]
            assert one.jobs == other.jobs


def _moments(key: Any) -> list[int]:
    return [moment or 0 for moment in (key.created, key.current_from, key.current_until, key.ended)]


class TestAsFound:
    def test_users_begin_with_the_keys_that_iam_lists_and_nothing_is_changed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = from_flags(store=STORE, path="/m/", deliver=["github:acme/site"])
        with Emulator() as aws:
            for name, value in aws.environment().items():
                monkeypatch.setenv(name, value)
            aws.make_user("old", path="/m/", keys=2, ages=(400 * 86_400, 200 * 86_400))
            aws.make_user("young", path="/m/team/", keys=1, ages=(5 * 86_400,))
            aws.make_user("other", path="/n/", keys=1)
            aws.clear_requests()
            parts, found = rehearse.cast(settings, (), as_found=True)
            asked = {request.name for request in aws.requests}
        assert asked == {"iam:ListUsers", "iam:ListAccessKeys", "iam:GetAccessKeyLastUsed"}
        wanted = Options(20, timedelta(hours=12), (JobKind(HOUR),))
        result = rehearse.played(parts, found, wanted, tmp_path, lambda _day, _days: None, as_found=True)
        old, young = result.users
        assert (old.user, old.path, young.user, young.path) == ("old", "/m/", "young", "/m/team/")
        assert [round(key.created / 86_400) for key in old.keys[:2]] == [-400, -200]
        assert old.keys[0].ended is not None
        assert old.keys[0].ended < 3_600, "LAST was due to go"
        assert young.runs[0].at // 86_400 == 9, "its rotation is due after 14 days and 9 hours"
        assert result.late == 0
        assert any("no store was read" in note for note in result.notes)


class TestAccounts:
    ACCOUNTS = "{list: [{id: '111111111111', name: prod}, {id: '222222222222', name: test site, role: r}]}"

    def parts(self, tmp_path: Path, *entries: str, users: Sequence[str] = ()) -> list[tuple[str, str, Any]]:
        """Return each user that is played, with its store and its window."""
        text = "".join(f"  - {{{one}}}\n" for one in entries)
        (tmp_path / "twokey.yaml").write_text(f"version: 1\naccounts: {self.ACCOUNTS}\nmachine_users:\n{text}")
        found, _ = rehearse.cast(load(tmp_path / "twokey.yaml"), users, as_found=False)
        return [(one.user, one.entry["store"], one.entry["window"]) for one in found]

    def test_users_of_one_name_in_two_accounts_are_both_played(self, tmp_path: Path) -> None:
        entries = (
            "users: [ci], accounts: ['111111111111'], store: 'secretsmanager:keys/{user}'",
            "users: [ci], accounts: [test site], store: 'secretsmanager:keys/{user}', window: 10d",
            "users: [ci], accounts: [test-site], store: 'secretsmanager:keys/{user}', window: 5d",
        )
        each = "secretsmanager:keys/{user}"
        expected = [("ci", each, "30d"), ("ci.test-site", each, "10d"), ("ci.test-site-2", each, "5d")]
        assert self.parts(tmp_path, *entries) == expected
        assert self.parts(tmp_path, *entries, users=["ci"]) == expected

    def test_one_url_in_two_accounts_is_played_as_two(self, tmp_path: Path) -> None:
        entries = (
            "users: [ci], accounts: ['111111111111'], store: 'secretsmanager:keys'",
            "users: [site], accounts: ['222222222222'], store: 'secretsmanager:keys'",
        )
        assert [store for _, store, _ in self.parts(tmp_path, *entries)] == [
            "secretsmanager:keys",
            "secretsmanager:twokey-rehearsal/1-0",
        ]
        result = rehearsed(tmp_path, users=(), settings=load(tmp_path / "twokey.yaml"), days=1, every=12 * HOUR)
        assert result.rotations == 2


class TestInput:
    def test_too_many_runs_are_refused_before_anything_is_played(self) -> None:
        with pytest.raises(UsageError, match="are too many for a rehearsal"):
            play.check_runs(1_000, Options(1_000, timedelta(minutes=5), ()))

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("--days", "0"), "'--days': expected a whole number from 1 to 1,000, got '0'."),
            (("--days", "1001"), "'--days': expected a whole number from 1 to 1,000, got '1001'."),
            (("--job", "0h"), "--job: 0s is too short."),
            (("--every", "1s"), "--every: 1s is too short."),
            (("--outage", "soon"), "--outage: 'soon' is not a duration."),
            (("--window", "1s"), "1s is too short"),
            (("--grace", "29d"), "is longer than the period less its slack"),
            (("--config", "absent.yaml"), "absent.yaml"),
            (tuple(part for hours in range(1, 10) for part in ("--job", f"{hours}h")), "at most 8 are played"),
        ],
    )
    def test_bad_input_is_refused_before_anything_is_played(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        store = () if "--config" in arguments else ("--store", STORE)
        ran = twokey("rehearse", "ci", *store, *arguments)
        assert ran.code == 2, ran.out
        assert message in ran.err

    def test_without_a_configuration_there_is_nothing_to_play(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert twokey("rehearse").code == 2

    def test_a_name_that_no_user_can_have_is_refused_before_a_file_is_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path("twokey.yaml").write_text("version: 1\nmachine_users: [{path: /m/, store: 'ssm:/m/{user}'}]\n")
        ran = twokey("rehearse", "")
        assert (ran.code, ran.err.splitlines()[0]) == (2, "Error: USER: expected an IAM user name, got ''.")


CONFIG = """
version: 1
window: 2d
schedule: 1h
verify: {{successes: 1, interval: 0s}}
audit_log: {folder}/audit.log
connections:
  github: {{url: "http://127.0.0.1:{port}", token: {{env: TOKEN}}}}
machine_users:
  - path: /m/
    store: "ssm:/m/{{user}}"
    deliver: ["github:acme/site?id={{USER}}_ID&secret={{USER}}_SECRET", "file:{folder}/{{user}}.json"]
    hooks:
      before: {{run: [/bin/touch, "{folder}/hooked"]}}
"""


class TestTheCommand:
    @pytest.fixture
    def ran(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ran:
        """Play a configuration whose environment leads outside."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("COLUMNS", "80")
        with socket.create_server(("127.0.0.1", 0)) as outside:
            outside.setblocking(False)
            port = outside.getsockname()[1]
            for name in ("AWS_ENDPOINT_URL", "HTTPS_PROXY", "HTTP_PROXY"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
            monkeypatch.setenv("AWS_PROFILE", "production")
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
            Path("twokey.yaml").write_text(CONFIG.format(folder=tmp_path, port=port))
            ran = twokey("rehearse", "--days", "2", "--html", "page.html")
            with pytest.raises(BlockingIOError):
                outside.accept()
        return ran

    def test_a_page_that_cannot_be_written_is_said_before_the_play(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        ran = twokey("rehearse", "ci", "--store", "secretsmanager:{user}", "--html", "missing/page.html")
        assert ran.code == 2
        assert "--html: missing/page.html cannot be written" in ran.err

    def test_it_plays_the_configuration_and_touches_nothing_outside_the_emulator(self, ran: Ran) -> None:
        assert ran.code == 0, ran.out + ran.err
        assert sorted(one.name for one in Path().iterdir()) == ["page.html", "twokey.yaml"]
        assert suspicious(ran.out + ran.err + Path("page.html").read_text()) == []
        lines = ran.out.splitlines()
        assert "2 days, a run every 1h" in lines
        assert "user-1  window 2d, grace 23h" in lines
        assert "user-2  window 2d, grace 23h" in lines
        strips = [line for line in lines if line.split()[:1] in (["CURRENT"], ["LAST"], ["runs"])]
        assert len(strips) == 6
        assert max(map(len, strips)) <= 80
        assert "  ok  no job fails: 288 were played" in lines
        assert "  ok  no rotation is late" in lines
        assert "Each letter beside CURRENT and LAST is a key. R rotated." in lines
        assert "A secret on the emulator stood in for github:acme/site" in ran.out
        assert "Only IAM knows which users are below /m/: twokey invented two users for each path." in ran.out


def test_the_json_document_matches_its_schema_and_ends_with_1_where_a_job_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import jsonschema

    monkeypatch.chdir(tmp_path)
    arguments = ("--store", STORE, "--window", "12h", "--days", "1", "--every", "15m", "--job", "10h", "--json", "-q")
    ran = twokey("rehearse", "ci", *arguments)
    assert ran.code == 1
    jsonschema.validate(ran.document, documents.schema("rehearse"))
    assert ran.document["jobs_failed"] > 0
    assert ran.err == ""


def test_every_kind_outside_the_emulator_is_played_by_a_secret(tmp_path: Path) -> None:
    playing = drilling.Playing("A rehearsal", "user", rehearse.stand_in)
    part = drilling.part_of("ci", "/", ("vault:kv/ci", "ssm:/a/ci"), RotationPolicy(), playing, 3)
    assert part.stand_ins == {"vault:kv/ci": "secretsmanager:twokey-rehearsal/3-0"}
    assert (part.entry["store"], part.entry["deliver"]) == ("secretsmanager:twokey-rehearsal/3-0", ["ssm:/a/ci"])
    assert tmp_path.exists()
