"""Two entries whose users would meet in one store are refused before any run: a run may select one of them only."""

from __future__ import annotations

import re

import pytest

from twokey.config.load import parse
from twokey.config.shared_stores import check
from twokey.core.accounts import Account
from twokey.core.errors import UsageError

A, B = "111111111111", "222222222222"
TWO = f"{{list: [{{id: '{A}'}}, {{id: '{B}', role: r}}]}}"


def entry(store: str, account: str = "", *users: str, more: str = "") -> str:
    of = f"accounts: ['{account}'], " if account else ""
    named = f"users: [{', '.join(users)}], " if users else "path: /m/, "
    return f"  - {{{named}{of}{more}store: '{store}'}}\n"


def central(store: str, account: str, *users: str, more: str = "") -> str:
    return entry(store, account, *users, more=f"store_account: central, {more}")


def text(*entries: str, accounts: str = TWO) -> str:
    top = f"accounts: {accounts}\n" if accounts else ""
    return f"version: 1\n{top}machine_users:\n{''.join(entries)}"


SECRET, EACH = "secretsmanager:keys", "secretsmanager:keys/{user}"


class TestAreRefused:
    @pytest.mark.parametrize(
        ("first", "second"),
        [
            (central(EACH, A, "ci", "a"), central(EACH, B, "b", "ci")),
            (central(EACH, A), central(EACH, B)),
            (central(EACH, A, "ci"), central(EACH, B)),
            (central(EACH, A), central(f"{SECRET}/ci", B, "ci")),
            (central("ssm:/{user}/{user}", A), central("ssm:/ci/ci", B, "ci")),
            (central("ssm:/ci/{user}", A), central("ssm:/ci/ci", B, "ci")),
            (central("ssm:/{account}/{user}", A), central(f"ssm:/{A}/{{user}}", B, "ci")),
            (central(f"{SECRET}/{{path}}/{{user}}", A), central(f"{SECRET}/{{path}}/{{user}}", B)),
            (entry("file:keys/{user}", A), entry("file:keys/{user}", B)),
            *(
                (central("ssm:/a/{user}", A, more=lock), central("ssm:/b/{user}", B, more=lock))
                for lock in ["lock: 'dynamodb:locks/{user}', "]
            ),
        ],
    )
    def test_of_two_accounts(self, first: str, second: str) -> None:
        with pytest.raises(UsageError) as error:
            parse(text(first, second), "f")
        message = str(error.value)
        assert {"f line 4", "f line 5"} == set(re.findall(r"f line \d", message))
        assert A in message
        assert B in message
        assert "Nothing was changed." in message
        assert "{account}" in message

    @pytest.mark.parametrize(
        ("second", "more"),
        [
            (central(SECRET, B, "ci"), ""),
            (entry("ssm:/b", B, "ci", more="deliver: ['github:acme/site'], "), ""),
            (entry("ssm:/b", B, "ci", more="deliver: ['ssm:/x'], deliver_account: central, "), "central"),
        ],
    )
    def test_where_one_url_means_one_thing_for_all_accounts(self, second: str, more: str) -> None:
        to = f"deliver: [{'ssm:/x' if more else 'github:acme/site'}], deliver_account: central, "
        with pytest.raises(UsageError, match=r"is written to a second time; the first is f line 4"):
            parse(text(central(SECRET, A, "ci", more=to), second), "f")

    def test_of_two_users_of_one_account(self) -> None:
        with pytest.raises(UsageError) as error:
            parse(text(entry(EACH, "", "ci"), entry(f"{SECRET}/ci", "", "deploy"), accounts=""), "f")
        assert str(error.value) == (
            "f line 4: `store`: deploy and ci (f line 3: `store`) would have one store, and each key would overwrite "
            "the other there: `secretsmanager:keys/ci`. Nothing was changed. Put {user} into the URLs of both entries."
        )

    def test_of_twokeys_own_account_once_that_is_known(self) -> None:
        settings = parse(text(entry(EACH, A), central(EACH, B)), "f")
        with pytest.raises(UsageError, match=rf"a user of the account {B} and a user of the account {A}"):
            check(settings.selections, settings.accounts, Account(A))
        check(settings.selections, settings.accounts, Account("333333333333"))
        check(settings.selections, settings.accounts, Account(A, region="eu-west-1"), "eu-central-1")


@pytest.mark.parametrize(
    "entries",
    [
        (central(EACH, A, "ci"), central(EACH, B, "deploy")),
        (central(EACH, A, "ci"), central(EACH, B, more="except: [ci], ")),
        (central(f"{SECRET}/{A}/{{user}}", A), central(f"{SECRET}/{B}/{{user}}", B)),
        (central(f"{SECRET}/{{account}}/{{user}}", A), central(f"{SECRET}/{{account}}/{{user}}", B)),
        (entry(EACH, A), entry(EACH, B)),
        (entry(SECRET, A, "ci"), entry(SECRET, B, "ci")),
        (entry(EACH, A), central(EACH, B)),
        (central(EACH, A, "ci"), central(EACH, A, "deploy")),
        (central(f"{SECRET}/{{path}}", A, "a"), central(f"{SECRET}/{{path}}", B, "b")),
    ],
)
def test_that_differ_in_any_way_are_not(entries: tuple[str, ...]) -> None:
    parse(text(*entries), "f")
