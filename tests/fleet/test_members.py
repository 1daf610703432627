"""The users that the configuration covers, for the inventory: what each store holds, or why that is not known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from fleet.test_lookup import ACCOUNT, at_line, user
from twokey.config.settings import Selection, Settings
from twokey.core.accounts import Account, AccountChoice
from twokey.core.errors import Stopped, UsageError
from twokey.core.journal import Journal
from twokey.core.model import NotHeld
from twokey.destinations import registry
from twokey.destinations.local.file import File
from twokey.fleet.members import members
from twokey.fleet.runtime import Runtime
from twokey.planning.policy import RotationPolicy

if TYPE_CHECKING:
    from support.rig import Rig
    from twokey.core.model import MachineUser
    from twokey.inventory.decision import Managed

POLICY = RotationPolicy()
DELIVER = ("ssm:/x/{user}", "file:x/{account}/{user}.json")


def settings(*selections: Selection) -> Settings:
    return Settings(selections, 100, 2, "test")


def entry(store: str, path: str = "/m/", *exclude: str, deliver: tuple[str, ...] = DELIVER) -> Selection:
    return Selection(path, (), exclude, store, deliver, POLICY, label=at_line(4))


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder, as stores that are files do. No service is called."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")


def managed(selection: Selection, *users: MachineUser) -> list[Managed]:
    return members(Runtime(), settings(selection), users)


def save(url: str, journal: Journal) -> None:
    store = registry.open_store(url, Runtime().services)
    store.save_journal(journal, store.load().revision)


def test_without_a_configuration_no_user_is_covered() -> None:
    assert members(Runtime(), None, [user("a")]) == []


def test_stores_are_read_together_for_the_users_that_an_entry_selects(rig: Rig) -> None:
    users = [user(name) for name in "abcdef"]
    save("ssm:/k/a", Journal(epoch=7))
    rig.aws.clear_requests()
    found = members(Runtime(), settings(entry("ssm:/k/{user}", "/m/", "x")), [*users, user("x"), user("y", "/n/")])
    assert {request.name for request in rig.aws.requests} == {"ssm:GetParameters"}
    assert len(rig.aws.requests) == 2
    assert [one.record and one.record.holding for one in found] == [NotHeld()] * 6
    assert [one.record and one.record.journal.epoch for one in found] == [7, 0, 0, 0, 0, 0]
    for one, expected in zip(found, users, strict=True):
        assert (one.user, one.policy, one.why) == (expected, POLICY, "")
        name = expected.name
        assert (one.store, one.destinations) == (f"ssm:/k/{name}", (f"ssm:/x/{name}", f"file:x/{ACCOUNT}/{name}.json"))


@pytest.mark.usefixtures("files")
class TestAStore:
    def test_that_cannot_be_read_is_told_with_its_user(self) -> None:
        Path("a.twokey-journal").write_text("no journal")
        Path("a").write_text("{}")
        bad, good = managed(entry("file:{user}"), user("a"), user("b"))
        assert (bad.user, bad.policy, bad.record) == (user("a"), POLICY, None)
        assert (bad.store, bad.destinations) == ("file:a", ("ssm:/x/a", f"file:x/{ACCOUNT}/a.json"))
        assert bad.why.startswith("The journal")
        assert (good.why, good.record is None) == ("", False)

    def test_that_a_users_name_does_not_fit_is_told_with_its_user(self) -> None:
        unfit, fits = managed(entry("ssm:/{user}"), user("a+b"), user("b"))
        assert (unfit.user, unfit.policy, unfit.record) == (user("a+b"), POLICY, None)
        assert (unfit.store, unfit.destinations) == ("ssm:/{user}", DELIVER)
        assert "/a+b" in unfit.why
        assert fits.store == "ssm:/b"

    def test_with_a_defect_stops_no_other_and_its_text_is_not_shown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        load = File.load

        def broken(self: File) -> object:
            if self.name == "file:a":
                raise LookupError("a secret")
            return load(self)

        monkeypatch.setattr(File, "load", broken)
        bad, good = managed(entry("file:{user}"), user("a"), user("b"))
        assert (bad.user, bad.policy, bad.record, bad.store) == (user("a"), POLICY, None, "file:a")
        assert bad.destinations == ("ssm:/x/a", f"file:x/{ACCOUNT}/a.json")
        assert bad.why.startswith(
            "file:a: the code that reads or writes it has a bug, or received what it does not expect"
        )
        assert "(LookupError at broken, line " in bad.why
        assert "a secret" not in bad.why
        assert "anything was written" not in bad.why
        assert good.record

    @pytest.mark.parametrize("found", [None, "a journal"])
    def test_that_returns_no_record_stops_no_other(self, monkeypatch: pytest.MonkeyPatch, found: object) -> None:
        load = File.load
        monkeypatch.setattr(File, "load", lambda self: found if self.name == "file:a" else load(self))
        bad, good = managed(entry("file:{user}"), user("a"), user("b"))
        assert bad.why.startswith("file:a: the code that reads or writes it has a bug (`load` returned ")
        assert (bad.record, good.record is None) == (None, False)

    def test_whose_run_is_stopped_ends_the_run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def stopped(_self: File) -> object:
            raise Stopped

        monkeypatch.setattr(File, "load", stopped)
        with pytest.raises(Stopped):
            managed(entry("file:{user}"), user("a"))

    @pytest.mark.parametrize(
        ("journal", "why"),
        [
            (Journal(moved="ssm:/y"), "a was moved from file:a to ssm:/y; the configuration still names the former."),
            (Journal(arriving="ssm:/y"), "A move of a from ssm:/y to file:a is not finished."),
        ],
    )
    def test_from_or_to_which_a_user_is_moved_is_not_taken_for_its_store(self, journal: Journal, why: str) -> None:
        save("file:a", journal)
        [found] = managed(entry("file:{user}"), user("a"))
        assert (found.record, found.why) == (None, why)


@pytest.mark.usefixtures("files")
class TestAnAccountOfSeveral:
    SITE = Account("222222222222", "site")

    def test_has_the_users_of_the_entries_that_are_about_it_by_its_name(self) -> None:
        theirs = replace(entry("file:{account_name}-{user}"), accounts=(AccountChoice.of("site"),))
        others = replace(entry("file:others-{user}"), accounts=(AccountChoice.of("other"),))
        found = members(Runtime(), settings(theirs, others), [user("a")], self.SITE)
        assert [(one.user, one.store) for one in found] == [(replace(user("a"), account_name="site"), "file:site-a")]

    def test_is_every_one_that_an_entry_may_be_about_where_only_one_is_read(self) -> None:
        assert len(managed(replace(entry("file:{user}"), accounts=(AccountChoice.of("other"),)), user("a"))) == 1

    def test_may_have_its_stores_in_that_of_twokey_itself(self) -> None:
        runtime, central = Runtime(), replace(entry("file:{user}"), store_account="central")
        runtime.accounts = cast("Any", SimpleNamespace(home="333333333333"))
        [found] = members(runtime, settings(central), [user("a")])
        assert (found.why, found.record is None) == ("", False)


@pytest.mark.usefixtures("files")
class TestAMistake:
    def test_of_two_entries_that_select_a_user_is_named_with_its_line(self) -> None:
        both = settings(entry("file:{user}"), replace(entry("ssm:/{user}"), label=at_line(9)))
        with pytest.raises(UsageError, match=r"^f line 9: `store`: The user a is selected twice: "):
            members(Runtime(), both, [user("a")])

    def test_in_a_connection_is_named_with_its_line_before_any_store_is_read(self) -> None:
        missing = settings(entry("vault:secret/{user}", deliver=()))
        with pytest.raises(UsageError, match=r"^f line 4: `store`: The connection vault is not configured"):
            members(Runtime(), missing, [])

    def test_in_the_connection_of_another_destination_does_not_matter(self) -> None:
        [found] = managed(entry("file:{user}", deliver=("github:acme/site",)), user("a"))
        assert found.record
