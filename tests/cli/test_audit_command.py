"""``twokey audit`` at the terminal, in files and as JSON."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from support.commands import twokey
from support.rig import DAY, Rig
from twokey.cli import terminal
from twokey.core.journal import Delivery, Journal
from twokey.emulator import Emulator, Rule
from twokey.testing.server import FakeService, ReceivedRequest, Refusal, Reply, route

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONFIG = """
version: 1
machine_users:
  - path: /machine-users/
    store: secretsmanager:machine-users/{user}
    deliver: ["file:out/{user}.json"]
"""
STORE = "secretsmanager:machine-users/ci"


@pytest.fixture(scope="module")
def account() -> Iterator[Emulator]:
    """An account with a rotated user, one that was created outside twokey, and its credential report."""
    with Emulator() as aws, pytest.MonkeyPatch().context() as patch:
        for name, value in aws.environment().items():
            patch.setenv(name, value)
        rig = Rig(aws)
        last, current = rig.settled()
        committed = aws.now().replace(microsecond=0)
        journal = Journal(
            current=current.access_key_id,
            last=last.access_key_id,
            committed=committed.fromtimestamp(committed.timestamp() - 16 * DAY + 5, committed.tzinfo),
            delivered={"file:out/ci.json": Delivery(last.access_key_id, committed)},
        )
        rig.store().save_journal(journal, rig.record().revision)
        aws.make_user("legacy-of-a-long-forgotten-department", path="/", keys=2, ages=(400 * DAY, 100 * DAY))
        aws.client("iam").generate_credential_report()
        aws.clear_requests()
        yield aws


@pytest.fixture(autouse=True)
def folder(account: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a configuration."""
    for name, value in account.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    tmp_path.joinpath("twokey.yaml").write_text(CONFIG)
    account.clear_requests()
    return tmp_path


class TestTheJson:
    def test_has_the_keys_with_what_is_known_of_each(self, account: Emulator) -> None:
        ran = twokey("audit", "--json")
        assert ran.code == 0
        [last, current] = [key for key in ran.document["keys"] if key["user"] == "ci"]
        [(last_id, *_), (current_id, _, created)] = account.keys("ci")
        assert current == {
            "account": "123456789012",
            "user": "ci",
            "path": "/machine-users/",
            "key_id": current_id,
            "status": "Active",
            "created": f"{created:%Y-%m-%dT%H:%M:%SZ}",
            "last_used": None,
            "last_use_known": False,
            "role": "current",
            "window": "kept",
            "breaks_at": current["breaks_at"],
            "held_by": [STORE],
        }
        assert (last["key_id"], last["role"], last["held_by"]) == (last_id, "last", ["file:out/ci.json"])

    def test_has_findings_with_controls_and_counts_them(self) -> None:
        document = twokey("audit", "--json").document
        assert document["summary"] == {"critical": 0, "high": 4, "medium": 3, "low": 2}
        [two] = [one for one in document["findings"] if one["id"] == "TK705"]
        assert (two["user"], two["severity"]) == ("legacy-of-a-long-forgotten-department", "medium")
        assert two["controls"] == ["CIS-1.13", "prowler:iam_user_two_active_access_key"]
        [late] = [one for one in document["findings"] if one["id"] == "TK710"]
        assert late["user"] == "ci"

    def test_of_an_account_without_twokey_has_no_roles_and_that_is_said(self, folder: Path) -> None:
        folder.joinpath("twokey.yaml").unlink()
        ran = twokey("audit", "--json")
        assert ran.code == 0
        assert {key["role"] for key in ran.document["keys"]} == {"unmanaged"}
        assert "There is no ./twokey.yaml, so no user counts as one that twokey rotates" in ran.err

    def test_of_an_account_of_which_the_configuration_covers_no_user_says_so(self, folder: Path) -> None:
        folder.joinpath("twokey.yaml").write_text(CONFIG.replace("- path: /machine-users/", "- path: /elsewhere/"))
        assert "The configuration covers none of these users" in twokey("audit", "--json").err

    def test_has_no_whole_key_id_with_redact(self, account: Emulator) -> None:
        ran = twokey("audit", "--json", "--redact")
        for key_id, _, _ in account.keys("ci"):
            assert key_id not in ran.out
            assert f"AKIA...{key_id[-4:]}" in ran.out


def test_a_journal_that_cannot_be_read_is_unknown_and_not_fine(account: Emulator) -> None:
    rule = account.weather.add(
        Rule("secretsmanager:DescribeSecret", effect="error_before", status=400, code="AccessDeniedException")
    )
    try:
        ran = twokey("audit", "--json")
    finally:
        account.weather.remove(rule)
    assert ran.code == 1
    assert {key["role"] for key in ran.document["keys"] if key["user"] == "ci"} == {"unknown"}
    assert not ran.document["complete"]
    assert "TK708" in {one["id"] for one in ran.document["findings"]}
    assert "The journal of ci cannot be read, so the roles of the keys are unknown: Access denied" in ran.err


@pytest.mark.parametrize(("threshold", "code"), [("low", 4), ("high", 4), ("critical", 0)])
def test_fail_on_exits_with_4_where_a_finding_is_severe_enough(threshold: str, code: int) -> None:
    assert twokey("audit", "--fail-on", threshold).code == code


def test_a_path_without_users_is_no_error_and_is_said() -> None:
    ran = twokey("audit", "--path", "/nothing/")
    assert (ran.code, ran.out) == (0, "")
    warning, summary = ran.err.splitlines()
    assert "has no IAM user below /nothing/: check the path." in warning
    assert summary.startswith("no finding: 0 users with 0 keys in account 123456789012; credential report of 20")


class TestTheTable:
    @pytest.mark.parametrize("columns", [40, 80, 132])
    def test_fits_the_terminal(self, columns: int, monkeypatch: pytest.MonkeyPatch, account: Emulator) -> None:
        monkeypatch.setenv("COLUMNS", str(columns))
        with mock.patch.object(terminal, "is_interactive", return_value=True):
            ran = twokey("audit")
        lines = ran.out.splitlines()
        assert max(map(len, lines)) <= columns
        assert account.keys("ci")[1][0] in ran.out
        if columns >= 80:
            assert lines[0].split() == ["user", "key", "role", "age", "last", "use", "window"]
        assert "medium TK705 legacy-of-a-long-forgotten-department" in " ".join(ran.out.split())

    @pytest.mark.parametrize(("options", "said"), [((), True), (("--ids",), False)])
    def test_says_which_option_shows_the_ids_that_are_missing(self, options: tuple[str, ...], said: bool) -> None:
        with mock.patch.object(terminal, "is_interactive", return_value=True):
            ran = twokey("audit", *options)
        assert ("key -: its ID is not in the credential report; --ids shows it.\n" in ran.out) is said

    def test_is_lines_in_a_log(self, account: Emulator) -> None:
        lines = twokey("audit").out.splitlines()
        current = account.keys("ci")[1][0]
        shown = f"ci: CURRENT {current}, Active, age 16d, no use known, window {{}} left, held by {STORE}"
        assert {shown.format("13d 23h"), shown.format("14d")} & {*lines}  # at once, or a moment later
        assert any(line.startswith("medium TK705 legacy-of-a-long-forgotten-department: ") for line in lines)


class TestAFile:
    def test_is_private_and_has_what_stdout_would_have(self, folder: Path) -> None:
        file = folder / "audit.json"
        ran = twokey("audit", "--json", "--output", str(file))
        assert (ran.code, ran.out) == (0, "")
        assert json.loads(file.read_text())["account"] == "123456789012"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert twokey("audit", "--format", "table", "-o", str(file)).code == 0
        assert file.read_text().count("TK705") == 1
        assert {one.name for one in folder.iterdir()} == {"audit.json", "twokey.yaml"}

    def test_that_exists_keeps_its_permissions(self, folder: Path) -> None:
        file = folder / "audit.json"
        file.touch()
        file.chmod(0o644)
        twokey("audit", "--json", "--output", str(file))
        assert stat.S_IMODE(file.stat().st_mode) == 0o644

    @pytest.mark.parametrize(
        ("name", "why"),
        [
            ("missing/audit.json", "No such file or directory"),
            ("link", "it is a symbolic link"),
            ("directory", "it is a directory"),
            ("twokey.yaml/audit.json", "Not a directory"),
        ],
    )
    def test_that_cannot_be_written_is_refused_before_anything_is_read(
        self, account: Emulator, folder: Path, name: str, why: str
    ) -> None:
        folder.joinpath("link").symlink_to(folder / "elsewhere")
        folder.joinpath("directory").mkdir()
        ran = twokey("audit", "--json", "--output", name)
        assert ran.code == 2
        assert f"--output: {name} cannot be written: {why}" in ran.err
        assert account.requests == []


@pytest.mark.parametrize("option", ["--max-age", "--within", "--limit"])
def test_a_duration_that_is_none_is_refused(option: str) -> None:
    ran = twokey("audit", option, "often")
    assert ran.code == 2
    assert f"{option}: 'often' is not a duration." in ran.err


class TestOtherFormats:
    @pytest.mark.parametrize(
        ("name", "begin"),
        [
            ("csv", "account,user,path,key_id,"),
            ("sarif", '{\n  "version": "2.1.0"'),
            ("ocsf", '[\n  {\n    "category_uid": 2'),
            ("asff", '[\n  {\n    "SchemaVersion": "2018-10-08"'),
            ("prometheus", "# HELP twokey_audit_timestamp_seconds "),
        ],
    )
    def test_are_printed(self, name: str, begin: str) -> None:
        ran = twokey("audit", "--format", name, "--quiet")
        assert (ran.code, ran.err) == (0, "")
        assert ran.out.startswith(begin)

    def test_asff_needs_a_region_before_anything_is_read(
        self, account: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            monkeypatch.delenv(name, raising=False)
        ran = twokey("audit", "--format", "asff")
        assert ran.code == 2
        assert "Set AWS_REGION." in ran.err
        assert account.requests == []


class Gateway(FakeService):
    """A push gateway: each group has the metrics that came last."""

    def __init__(self) -> None:
        super().__init__()
        self.groups: dict[str, str] = {}
        self.full = False

    def authorize(self, request: ReceivedRequest) -> None:
        """Anyone may push."""

    @route("PUT", r"/metrics/job/(?P<job>\w+)/account/(?P<account>\d+)")
    def put(self, request: ReceivedRequest, job: str, account: str) -> Reply:
        if self.full:
            raise Refusal(400, {"message": "pushed metrics are invalid"})
        self.groups[f"{job} {account}"] = request.data.decode()
        return Reply(200, None)


class TestThePushGateway:
    def test_gets_the_metrics(self) -> None:
        with Gateway() as gateway:
            ran = twokey("audit", "--json", "--push-gateway", f"{gateway.url}/")
        assert ran.code == 0
        [(group, text)] = gateway.groups.items()
        assert group == "twokey_audit 123456789012"
        assert 'twokey_audit_complete{account="123456789012"} 1\n' in text

    def test_that_does_not_take_them_is_a_failure_after_the_result_was_printed(self) -> None:
        with Gateway() as gateway:
            gateway.full = True
            ran = twokey("audit", "--json", "--push-gateway", gateway.url)
        assert ran.code == 1
        assert ran.document["account"] == "123456789012"
        assert "The push gateway" in ran.err

    def test_that_is_no_url_is_refused_before_anything_is_read(self, account: Emulator) -> None:
        ran = twokey("audit", "--push-gateway", "pushgateway:9091")
        assert ran.code == 2
        assert "--push-gateway: expected the URL of a Prometheus push gateway" in ran.err
        assert account.requests == []


class TestThePage:
    def test_shows_what_the_json_has_with_the_titles_of_the_rules(self) -> None:
        document, page = twokey("audit", "--json").document, twokey("audit", "--format", "html").out
        assert page.startswith("<!doctype html>")
        assert all(f"<td>{user['path']}<td>" in page for user in document["users"])
        assert all(finding["id"] in page for finding in document["findings"])
        assert "An Active key is older than its limit" in page

    def test_has_no_whole_key_id_with_redact(self, account: Emulator) -> None:
        page = twokey("audit", "--format", "html", "--redact").out
        assert not [key for key, *_ in account.keys("ci") if key in page]

    def test_is_refused_at_a_terminal_before_anything_is_called(self, account: Emulator) -> None:
        with mock.patch.object(terminal, "is_interactive", return_value=True):
            ran = twokey("audit", "--format", "html")
        assert ran.code == 2
        assert "--output report.html" in ran.err
        assert account.requests == []
