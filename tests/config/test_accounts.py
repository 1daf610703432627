"""What is wrong with ``accounts`` in twokey.yaml is said before anything is called, with the line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from twokey.config.load import load
from twokey.core.errors import UsageError

ENTRY = "machine_users:\n  - path: a\n    store: secretsmanager:{user}\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("accounts", "more", "expected"),
    [
        ("{}", "", "line 2: `accounts` needs exactly one of `organizations`, `list` and `file`"),
        ("{file: a.yml, list: [{id: '123456789012'}]}", "", "it has `list` and `file`"),
        ("{list: [{id: '123'}]}", "", "'123' is not an AWS account ID"),
        ("{list: [{id: 123456789012}]}", "", 'not as text; quote it: "123456789012"'),
        ("{list: [{id: '123456789012'}, {id: '123456789012'}]}", "", "is listed a second time"),
        ("{list: [{id: '123456789012', role: 'a b'}]}", "", "expected the name or the ARN of a role"),
        (
            "{list: [{id: '123456789012', role: 'arn:aws:iam::210987654321:role/a'}]}",
            "",
            "line 2: `role`: arn:aws:iam::210987654321:role/a is a role of account 210987654321; this item is about",
        ),
        ("{list: [{id: '123456789012', role: [a, 'arn:aws:iam::210987654321:role/a']}]}", "", "is a role of account"),
        ("{list: [{id: '123456789012', role: a, external_id: '(x)'}]}", "", "`external_id`: expected 2 to 1224"),
        ("{list: [{id: '123456789012', ou: prod}]}", "", "expected the ID of an organizational unit"),
        (
            "{organizations: {role: 'arn:aws:iam::123456789012:role/a'}}",
            "",
            "the name of a role that each account has",
        ),
        ("{organizations: {}}", "", "has no `role`"),
        ("{organizations: {role: a, ou: prod}}", "", "expected the ID of an organizational unit"),
        ("{organizations: {rol: a}}", "", "unknown key `rol`; did you mean `role`?"),
        ("{organizations: {role: a}}", "    accounts: [{}]\n", "chooses no account"),
        ("{organizations: {role: a}}", "    accounts: [{ou: prod}]\n", "expected the ID of an organizational unit"),
        ("{file: gone.yml}", "", "line 2: gone.yml: the file does not exist"),
        (None, "    accounts: [prod]\n", "`accounts` needs `accounts` at the top level"),
        (None, "    store_account: central\n", "`store_account` needs `accounts` at the top level"),
    ],
)
def test_says_what_is_wrong(accounts: str | None, more: str, expected: str) -> None:
    top = f"accounts: {accounts}\n" if accounts else ""
    Path("twokey.yaml").write_text(f"version: 1\n{top}{ENTRY}{more}")
    with pytest.raises(UsageError) as error:
        load(Path("twokey.yaml"))
    assert expected in str(error.value)


@pytest.mark.parametrize(
    ("top", "expected"),
    [
        ("waves: [{}]", "line 2: a wave needs either `accounts` or `percent`"),
        ("waves: [{percent: 10, accounts: [a]}]", "a wave needs either `accounts` or `percent`"),
        ("waves: [{accounts: [a]}]", "`accounts` of a wave needs `accounts` at the top level"),
        ("waves: [{percent: 50}, {percent: 10}]", "`percent`: expected more than 50"),
        ("waves: [{percent: 50, pause: x}]", "`pause`"),
        ("waves: [{percent: 50, check: {run: [check]}}]", "expected the absolute path of a program"),
        ("stop_after: {failed: '10'}", "expected a number, or a percentage"),
        ("stop_after: {failed: '101 %'}", "expected a number, or a percentage"),
    ],
)
def test_says_what_is_wrong_with_waves(top: str, expected: str) -> None:
    Path("twokey.yaml").write_text(f"version: 1\n{top}\n{ENTRY}")
    with pytest.raises(UsageError) as error:
        load(Path("twokey.yaml"))
    assert expected in str(error.value)


@pytest.mark.parametrize(
    ("account", "expected"),
    [
        ({"account_id": "123456789012", "name": "a", "profile": "prod"}, "the account a has no `role`"),
        ({"name": "a", "role": "r"}, "no `account_id`"),
        ({"account_id": "123456789012", "role": "arn:aws:iam::210987654321:role/a"}, "is a role of account 210987"),
        ({"account_id": "12", "role": "r"}, "is not an AWS account ID"),
    ],
)
def test_names_the_line_of_the_file_of_cloud_custodian(account: dict[str, str], expected: str) -> None:
    Path("accounts.yml").write_text("accounts:\n  - " + json.dumps(account))
    Path("twokey.yaml").write_text(f"version: 1\naccounts: {{file: accounts.yml}}\n{ENTRY}")
    with pytest.raises(UsageError) as error:
        load(Path("twokey.yaml"))
    assert expected in str(error.value)
    assert "accounts.yml line 2" in str(error.value)
