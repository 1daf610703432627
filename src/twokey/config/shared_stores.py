"""Two entries whose users would meet in one store, or take one lock, as far as the file alone shows it.

A run compares the users that it selects. One that selects an account, or a user, does not see the others: it would
write over a credential that it did not read the journal of. So the entries are compared here, before any run. Which
users a path has, only IAM knows: of two entries in two accounts, each may have a user of the same name.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from twokey.config.account_rules import only_account
from twokey.config.settings import same_name
from twokey.core.errors import UsageError
from twokey.destinations import address

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from twokey.config.account_settings import AccountSettings
    from twokey.config.settings import Selection
    from twokey.core.accounts import Account

_ANY = "0" * 12
_Store = tuple[str, str, str]
"""The key of the entry, the account that a store in AWS is in (empty for that of twokey itself), and the URL."""


@dataclass(frozen=True, slots=True)
class _Use:
    """An entry that has a store, for users of one account. ``user``: its name, where the entry names it."""

    selection: Selection
    key: str
    template: str
    account: str
    where: str
    user: str = ""

    def at(self, user: str) -> _Store | None:
        """Return what it has for a user of this name; None where a URL cannot contain it."""
        path = self.selection.path or "/"
        try:
            url = address.fill(self.template, user=user, path=path, account=self.account or _ANY, name=self.account)
        except UsageError:
            return None
        return self.key, self.where, url

    @property
    def pattern(self) -> str:
        """The URL with every field filled in but the user's name."""
        path = (self.selection.path or "/").strip("/")
        filled = self.template if path else self.template.replace("{path}/", "")
        for name, value in (("path", path), ("account", self.account), ("account_name", self.account)):
            filled = filled.replace(f"{{{name}}}", value)
        return filled

    def may_have(self, user: str) -> bool:
        """Return whether the entry may select a user of this name."""
        names = self.selection.users
        named = not names or same_name(user) in map(same_name, names)
        return named and not self.selection.leaves_out(user)

    def __str__(self) -> str:
        """Return how a message names the user, or the users."""
        if not self.user:
            return f"a user of the account {self.account}"
        return f"{self.account}/{self.user}" if self.account else self.user


def check(
    selections: Sequence[Selection], accounts: AccountSettings | None, home: Account | None = None, region: str = ""
) -> None:
    """Raise ``UsageError`` where users of two entries would have one store, or one lock.

    ``home`` is the account that twokey runs in, once that is known: the stores that are kept in each account are
    there, for its users, where the central ones are. ``region``: that of the run, in which central stores are.
    """
    uses = list(_uses(selections, accounts, home, region))
    below: dict[_Store, list[_Use]] = defaultdict(list)
    for use in uses:
        if not use.selection.users:
            others = below[use.key, use.where, use.pattern]
            others.append(use)
            _refuse_second(others[0], use)
    for (key, where, url), one in _of_named_users(uses).items():
        # There may be thousands of both: what a path would have to be written as is looked up, not compared.
        for pattern in _patterns(url, one.user):
            for use in below.get((key, where, pattern), ()):
                if use.may_have(one.user):
                    _refuse_second(one, use)


def _patterns(url: str, user: str) -> Iterator[str]:
    """Yield what has this URL for a user of this name: the name replaced where it is once, or everywhere."""
    written = address.fill("x:{user}", user=user, path="/", account=_ANY)[2:]
    found = list(re.finditer(re.escape(written), url))
    for one in found:
        yield f"{url[: one.start()]}{{user}}{url[one.end() :]}"
    if len(found) > 1:
        yield url.replace(written, "{user}")


def _of_named_users(uses: Sequence[_Use]) -> dict[_Store, _Use]:
    """Return what has each store of the users that entries name."""
    named: dict[_Store, _Use] = {}
    for use in uses:
        for user in use.selection.users:
            one = replace(use, user=user)
            if store := one.at(user):
                _refuse_second(named.setdefault(store, one), one)
    return named


def _refuse_second(first: _Use, second: _Use) -> None:
    """Raise ``UsageError`` unless what has one URL is one user, or may be two with two URLs.

    The URL was filled with the paths of the entries, and a user may have a longer one.
    """
    same = not (first.user and second.user) or same_name(first.user) == same_name(second.user)
    if "{path}" in second.template and not (same and first.selection.path == second.selection.path):
        return
    if first.account != second.account or not same:
        raise _meeting(first, second)


def _uses(
    selections: Sequence[Selection], accounts: AccountSettings | None, home: Account | None, region: str
) -> Iterator[_Use]:
    for selection in selections:
        account = only_account(selection, accounts) if accounts else ""
        for key, template in (("store", selection.store), ("lock", selection.lock)):
            if template is None:
                continue
            if accounts is None:
                yield _Use(selection, key, template, "", "")
            elif selection.is_shared(key, template):
                # Of an entry for several accounts, the URL names the account: see ``account_rules``.
                if account:
                    yield _Use(selection, key, template, account, "")
            elif home and selection.is_for(home) and home.region in ("", region):
                yield _Use(selection, key, template, home.id, "")
            elif account:
                yield _Use(selection, key, template, account, account)


def _meeting(first: _Use, second: _Use) -> UsageError:
    position = first.selection.named(first.key)
    where = f" ({position})" if " line " in position else ""
    fields = "{account} and {user}" if first.account != second.account else "{user}"
    what = "take one lock" if second.key == "lock" else "have one store, and each key would overwrite the other there"
    return UsageError(
        f"{second.selection.named(second.key)}: {second} and {first}{where} would {what}: `{second.template}`.",
        state="Nothing was changed.",
        remedy=f"Put {fields} into the URLs of both entries.",
    )
