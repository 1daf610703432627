"""A run over two accounts that both have a user ``ci``: nothing of the two is mixed up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from fleet.conftest import ONE, OTHER, STORE
from support.commands import twokey
from twokey.cli import terminal
from twokey.core.reasons import Outcome

if TYPE_CHECKING:
    from pathlib import Path

    from fleet.conftest import Accounts

ARGUMENTS = ("ci", "--store", STORE)


def by_account(entries: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the entries by account, having made sure that there is one of each, and that all are of ``ci``."""
    assert [(entry["account"], entry["user"]) for entry in entries] == [(ONE, "ci"), (OTHER, "ci")]
    return {entry["account"]: entry for entry in entries}


class TestRotate:
    def test_rotates_each_user_in_its_own_account(self, accounts: Accounts) -> None:
        due = accounts.settled(ONE)
        new = accounts.make(OTHER)[1]
        ran = twokey("rotate", *ARGUMENTS, "--json")
        results = by_account(ran.document["results"])
        assert ran.code == 3
        assert results[ONE]["outcome"] == "rotated"
        assert (results[ONE]["last"], results[ONE]["removed"]) == (due[1], [due[0]])
        assert accounts.held(ONE) == results[ONE]["current"]
        assert results[OTHER]["outcome"] == "refused"
        assert results[OTHER]["reason"] == "cannot_attribute"
        assert new.access_key_id in accounts.ids(OTHER)
        assert ran.document["summary"]["rotated"] == ran.document["summary"]["refused"] == 1

    def test_names_the_account_of_each_user(self, accounts: Accounts) -> None:
        accounts.settled(ONE)
        accounts.settled(OTHER)
        ran = twokey("rotate", *ARGUMENTS, "--verbose")
        assert ran.code == 0
        first, second = ran.out.splitlines()
        assert first.startswith(f"{ONE}/ci: rotated (due). ")
        assert second.startswith(f"{OTHER}/ci: rotated (due). ")
        for account in (ONE, OTHER):
            assert f"{account}/ci: create … " in ran.err.replace("\n", " ")
        assert not [line for line in ran.err.splitlines() if line.startswith("ci:")]

    def test_writes_an_audit_log_that_tells_them_apart(self, accounts: Accounts, tmp_path: Path) -> None:
        accounts.settled(ONE)
        accounts.settled(OTHER)
        log = tmp_path / "audit.log"
        assert twokey("rotate", *ARGUMENTS, "--audit-log", str(log)).code == 0
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        ended = [(line["account"], line["user"]) for line in lines if line["what"] == "ended"]
        assert sorted(ended) == [(ONE, "ci"), (OTHER, "ci")]
        verified = twokey("audit-log", "verify", str(log))
        assert verified.code == 0, verified.out

    def test_counts_them_as_two_users(self, accounts: Accounts) -> None:
        accounts.settled(ONE)
        accounts.settled(OTHER)
        ran = twokey("rotate", *ARGUMENTS, "--max-users", "1", "--json")
        assert ran.code == 3
        results = by_account(ran.document["results"])
        assert {result["reason"] for result in results.values()} == {"too_many_users"}


class TestPlan:
    def test_foresees_each_user_by_its_own_keys(self, accounts: Accounts) -> None:
        due = accounts.settled(ONE)
        older, newer = accounts.make(OTHER)
        accounts.fill(OTHER, older)
        ran = twokey("plan", *ARGUMENTS, "--json")
        results = by_account(ran.document["results"])
        assert results[ONE]["outcome"] == "rotated"
        assert results[ONE]["actions"][0] == f"delete {due[0]}"
        assert results[OTHER]["reason"] == "unmanaged_key"
        assert results[OTHER]["actions"] == []
        assert newer.access_key_id in results[OTHER]["message"]

    @pytest.mark.parametrize("columns", ["80", "400"])
    def test_names_the_account_at_a_terminal(
        self, accounts: Accounts, monkeypatch: pytest.MonkeyPatch, columns: str
    ) -> None:
        due = {account: accounts.settled(account) for account in (ONE, OTHER)}
        monkeypatch.setenv("COLUMNS", columns)
        monkeypatch.setattr(terminal, "is_interactive", lambda _: True)
        ran = twokey("plan", *ARGUMENTS)
        parts = ran.out.partition(f"{OTHER}/ci")
        for account, part in ((ONE, parts[0]), (OTHER, parts[2])):
            assert f" delete {due[account][0]}" in part
        assert f"{ONE}/ci" in parts[0]


class TestStatus:
    def test_shows_each_users_own_keys(self, accounts: Accounts) -> None:
        due = {account: accounts.settled(account) for account in (ONE, OTHER)}
        ran = twokey("status", *ARGUMENTS, "--json")
        users = by_account(ran.document["users"])
        for account in (ONE, OTHER):
            assert tuple(key["id"] for key in users[account]["keys"]) == due[account]
        shown = twokey("status", *ARGUMENTS).out.splitlines()
        for account in (ONE, OTHER):
            assert f"{account}/ci: due now" in shown
            assert any(line.startswith(f"  {account}/ci: CURRENT {due[account][1]}, ") for line in shown)

    def test_names_the_account_at_a_terminal(self, accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
        due = {account: accounts.settled(account) for account in (ONE, OTHER)}
        monkeypatch.setenv("COLUMNS", "300")
        monkeypatch.setattr(terminal, "is_interactive", lambda _: True)
        rows = [line.split() for line in twokey("status", *ARGUMENTS).out.splitlines()]
        for account in (ONE, OTHER):
            assert any(row[:2] == [f"{account}/ci", due[account][0]] for row in rows)


class TestAdopt:
    @pytest.mark.parametrize("performed", [False, True])
    def test_takes_over_each_user_by_its_own_keys(self, accounts: Accounts, tmp_path: Path, *, performed: bool) -> None:
        pairs = {account: accounts.make(account) for account in (ONE, OTHER)}
        for account, (_, newer) in pairs.items():
            pair = {"AccessKeyId": newer.access_key_id, "SecretAccessKey": newer.secret_access_key}
            (tmp_path / f"{account}.json").write_text(json.dumps(pair))
        arguments = ("adopt", *ARGUMENTS, "--to", f"file:{tmp_path}/{{account}}.json", *(["--yes"] * performed))
        ran = twokey(*arguments, "--json")
        assert ran.code == 0, ran.out
        for account, entry in by_account(ran.document["results"]).items():
            older, newer = pairs[account]
            assert (entry["outcome"], entry["current"]) == ("adopted", newer.access_key_id)
            assert [key["id"] for key in entry["keys"]] == [older.access_key_id, newer.access_key_id]
            if performed:
                assert accounts.held(account) == newer.access_key_id
        lines = twokey(*arguments).out.splitlines()
        endings = {line.split(".")[0] for line in lines if not line.startswith(" ")}
        ending = "already managed" if performed else "can be taken over (existing_key)"
        assert endings == {f"{account}/ci: {ending}" for account in (ONE, OTHER)}


def test_quiet_names_the_account_of_what_failed(accounts: Accounts) -> None:
    accounts.settled(ONE)
    accounts.make(OTHER)
    for command in ("plan", "rotate", "adopt"):
        ran = twokey(command, *ARGUMENTS, "--quiet")
        assert ran.out == ""
        assert ran.err.startswith(f"{OTHER}/ci: "), ran.err
        assert f"{ONE}/ci: {Outcome.REFUSED}" not in ran.err
