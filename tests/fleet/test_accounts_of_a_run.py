"""Which accounts a run acts in, and what it needs of each: without a service, but for who twokey itself is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from support.store_faults import denied
from twokey.aws import organizations, sts
from twokey.aws.clients import Clients
from twokey.aws.member import MemberClients
from twokey.config.account_settings import AccountSettings, OrganizationSettings
from twokey.config.settings import Selection
from twokey.core.accounts import Account, AccountChoice, AccountRole
from twokey.core.errors import AccessDenied, Failed, ServiceRejected, UsageError
from twokey.destinations.registry import Services
from twokey.fleet.accounts import Accounts, interleaved, of_organization
from twokey.planning.policy import RotationPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from support.rig import Rig

HOME = "123456789012"
ROLE = AccountRole("Twokey")
CHOICES = (AccountChoice.of("a1"),)
LISTED = tuple(Account(f"2222222222{number:02}", f"a{number}", roles=(ROLE,)) for number in range(11))


def accounts(settings: AccountSettings, clients: Clients | None = None) -> Accounts:
    return Accounts(settings, Services(clients or Clients("run")))


class TestTheAccounts:
    def test_are_those_that_are_listed_or_those_of_them_that_the_operator_chooses(self) -> None:
        assert accounts(AccountSettings(LISTED)).selected == LISTED
        only = (AccountChoice.of("A3"), AccountChoice.of(LISTED[1].id))
        assert accounts(AccountSettings(LISTED, only=only)).selected == (LISTED[1], LISTED[3])

    @pytest.mark.parametrize(("count", "more"), [(10, "."), (11, ", ….")])
    def test_are_named_where_the_operator_chooses_none_of_them(self, count: int, more: str) -> None:
        settings = AccountSettings(LISTED[:count], only=(AccountChoice.of("a0"), AccountChoice.of("b")))
        with pytest.raises(UsageError) as caught:
            _ = accounts(settings).selected
        shown = ", ".join(f"a{number} (2222222222{number:02})" for number in range(10))
        assert caught.value.message == (f"--account: b is none of the accounts of the configuration: {shown}{more}")

    def test_take_their_turns(self) -> None:
        assert interleaved([[1, 2, 3], [4], [5, 6]]) == [1, 4, 5, 2, 6, 3]
        assert interleaved([]) == []

    def test_have_the_entries_that_are_about_them_if_the_configuration_has_them(self) -> None:
        of_all, of_one = (Selection("/", (), (), "file:x", (), RotationPolicy(), accounts=one) for one in ((), CHOICES))
        run = accounts(AccountSettings(LISTED))
        assert run.selections((of_all, of_one), LISTED[1]) == [of_all, of_one]
        assert run.selections((of_all, of_one), LISTED[2]) == [of_all]
        assert run.selections((of_all, of_one), Account(HOME)) == []

    def test_have_no_entries_where_the_operator_leaves_them_out_and_that_is_said(self) -> None:
        run = accounts(AccountSettings(LISTED, only=CHOICES))
        assert run.selections((), LISTED[1]) == run.selections((), Account(HOME)) == []
        with pytest.raises(UsageError, match=rf"^--account leaves out the account a2 \({LISTED[2].id}\), which "):
            run.selections((), LISTED[2])

    @pytest.mark.parametrize("region", ["", "eu-central-1"])
    def test_have_no_user_with_the_store_of_another_in_twokeys_own(
        self, region: str, rig: Rig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_REGION", "eu-central-1")
        own = Account(HOME, "own", region=region)
        central, member = (
            Selection("/", (), (), "ssm:/{user}", (), RotationPolicy(), accounts=(AccountChoice.of(one.id),))
            for one in (LISTED[0], own)
        )
        run = accounts(AccountSettings((*LISTED, own)), rig.clients_of("run"))
        run.check_stores((central, member))
        with pytest.raises(UsageError, match=f"a user of the account {HOME}.* would have one store"):
            run.check_stores((replace(central, store_account="central"), member))


class TestTheAccountOfACommandThatWorksInOne:
    """``KEY`` is an ID of the account ``OWNER``, and ``NAME`` would be one of another account if it were no name."""

    KEY, OWNER, NAME = "AKIAY34FZKBOKMUTVV7A", "609629065308", "DEPLZYXWVUTSRQPONMLK"

    @pytest.fixture(autouse=True)
    def _runs_at_home(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sts.Sts, "caller", lambda _self: (HOME, f"arn:aws:iam::{HOME}:user/twokey"))

    def test_is_the_selected_one_whatever_the_key(self) -> None:
        assert accounts(AccountSettings(LISTED[:1])).one(["ci"], str) == LISTED[0]
        assert accounts(AccountSettings(LISTED, only=CHOICES)).one([self.KEY], str) == LISTED[1]

    def test_is_that_of_the_keys(self) -> None:
        owner = Account(self.OWNER, "owner", roles=(ROLE,))
        assert accounts(AccountSettings((*LISTED, owner))).one([self.KEY, self.KEY], str) == owner

    def test_is_twokeys_own_although_the_configuration_does_not_have_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sts.Sts, "caller", lambda _self: (self.OWNER, f"arn:aws:iam::{self.OWNER}:user/twokey"))
        assert accounts(AccountSettings(LISTED)).one([self.KEY], str) == Account(self.OWNER)

    def test_is_none_where_it_is_neither(self) -> None:
        with pytest.raises(UsageError, match=rf"^The key belongs to account {self.OWNER}, which is none of the conf"):
            accounts(AccountSettings(LISTED)).one([self.KEY], str)

    @pytest.mark.parametrize("targets", [("ci",), (NAME,), (KEY, "ci"), (KEY, "AKIAQAAAAAAAAAAAAAAA"), ()])
    def test_is_asked_for_where_the_keys_do_not_say_it(self, targets: tuple[str, ...]) -> None:
        with pytest.raises(UsageError, match=r"^This command works in one account at a time, and 12 are selected\."):
            accounts(AccountSettings((*LISTED, Account(self.OWNER)))).one(targets, str)

    def test_is_asked_for_where_the_operator_chooses_several(self) -> None:
        only = (AccountChoice.of("a1"), AccountChoice.of("a2"))
        with pytest.raises(UsageError, match="and 2 are selected"):
            accounts(AccountSettings(LISTED, only=only)).one([self.KEY], str)

    @pytest.mark.parametrize(("count", "more"), [(10, ""), (11, "; and likewise for 1 more")])
    def test_is_asked_for_with_the_command_for_each_of_them(self, count: int, more: str) -> None:
        with pytest.raises(UsageError) as caught:
            accounts(AccountSettings(LISTED[:count])).one(["ci"], "for {}".format)
        commands = "; ".join(f"for {one.id}" for one in LISTED[:10])
        assert caught.value.remedy == f"Run it for each of them: {commands}{more}."


class TestTwokeysOwnAccount:
    @pytest.fixture(autouse=True)
    def _runs_at_home(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sts.Sts, "caller", lambda _self: (HOME, f"arn:aws:iam::{HOME}:user/twokey"))

    def test_is_that_of_the_configuration_whatever_the_operator_selects(self) -> None:
        home = Account(HOME, "home", roles=(ROLE,))
        assert accounts(AccountSettings((*LISTED, home), only=CHOICES)).own() == home

    def test_is_known_by_its_id_where_the_configuration_does_not_have_it(self) -> None:
        assert accounts(AccountSettings(LISTED)).own() == Account(HOME)

    def test_is_known_by_its_id_where_the_organization_cannot_be_read_which_its_entries_say(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise AccessDenied("organizations:ListAccounts", "the organization")

        monkeypatch.setattr(organizations.Organization, "accounts", refuse)
        run = accounts(AccountSettings(organization=OrganizationSettings(ROLE)))
        assert run.own() == Account(HOME)
        with pytest.raises(AccessDenied):
            run.selections((), run.own())


class Organization:
    """An organization that remembers what it was asked for."""

    def __init__(self, *found: Account) -> None:
        self.found = found
        self.asked: list[tuple[Sequence[str], bool]] = []

    def accounts(self, ous: Sequence[str], *, tags: bool) -> Iterator[Account]:
        self.asked.append((ous, tags))
        yield from self.found


class TestAnOrganization:
    PROD = Account("111111111111", "prod", tags={"env": "prod", "team": "a"})
    TEST = Account("222222222222", "test", tags={"env": "test", "team": "a"})
    OWN = Account(HOME, "own", tags={"env": "prod", "team": "b"})

    def chosen(self, needs_tags: bool = False, **wanted: Any) -> tuple[list[str], list[tuple[Sequence[str], bool]]]:
        organization = Organization(self.PROD, self.TEST, self.OWN)
        settings = AccountSettings(
            organization=OrganizationSettings(ROLE, **wanted), needs_tags=needs_tags, at="f line 4: "
        )
        self.warned: list[str] = []
        found = of_organization(settings, organization, HOME, self.warned.append)
        assert [one.roles for one in found] == [() if one.id == HOME else (ROLE,) for one in found]
        return [one.name for one in found], organization.asked

    def test_has_the_accounts_of_its_units_and_twokeys_own_needs_no_role(self) -> None:
        assert self.chosen(ous=("ou-1",)) == (["prod", "test", "own"], [(("ou-1",), False)])

    def test_is_asked_for_tags_where_they_choose_accounts(self) -> None:
        assert self.chosen(needs_tags=True) == (["prod", "test", "own"], [((), True)])
        assert self.chosen(tags=(("env", "prod"), ("team", "a"))) == (["prod"], [((), True)])

    def test_leaves_out_what_is_excluded(self) -> None:
        exclude = (AccountChoice.of("own"), AccountChoice.of("pr*"))
        assert self.chosen(exclude=exclude)[0] == ["test"]
        assert self.warned == []

    def test_warns_of_an_exception_that_leaves_out_no_account(self) -> None:
        assert self.chosen(exclude=(AccountChoice.of("prodd"),))[0] == ["prod", "test", "own"]
        assert self.warned == ["f line 4: `except`: none of the accounts is left out by prodd."]

    def test_without_an_account_that_is_meant_is_an_error_with_its_line(self) -> None:
        with pytest.raises(Failed, match=r"^f line 4: The organization has no active account that is selected\."):
            self.chosen(tags=(("env", "none"),))


class TestAMember:
    @pytest.fixture
    def clients(self, rig: Rig) -> Clients:
        return rig.clients_of("run")

    def test_is_one_for_the_whole_run_with_sessions_of_its_role(self, clients: Clients) -> None:
        run = accounts(AccountSettings(LISTED), clients)
        member = run.member(LISTED[0])
        assert run.member(LISTED[0]) is run.of(LISTED[0].id) is member
        assert run.member(LISTED[1]) is not member
        assert member.account == LISTED[0]
        assert isinstance(member.clients, MemberClients)
        assert member.services.clients is member.clients
        assert member.services.home is not None
        assert member.services.home.clients is clients

    def test_that_is_twokeys_own_account_needs_no_session(self, clients: Clients) -> None:
        own = Account(HOME)
        run = accounts(AccountSettings((own,)), clients)
        run.check(own, in_region=True)
        member = run.member(own)
        assert (member.account, member.clients, member.services.clients) == (own, clients, clients)

    def test_without_a_role_in_another_account_is_an_error(self, clients: Clients) -> None:
        other = Account("222222222222", "other")
        with pytest.raises(Failed) as caught:
            accounts(AccountSettings((other,)), clients).check(other, in_region=False)
        assert caught.value.message == (f"It has no role, and twokey runs in another account ({HOME}).")

    def test_whose_role_cannot_be_assumed_is_an_error(self, rig: Rig, clients: Clients) -> None:
        rig.aws.weather.add(denied("sts:AssumeRole"))
        with pytest.raises(AccessDenied):
            accounts(AccountSettings(LISTED), clients).check(LISTED[0], in_region=False)

    def test_is_reached_in_the_region_of_its_stores_if_it_has_any(
        self, clients: Clients, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reached: list[str] = []

        def reach(_sts: object, region: str) -> None:
            reached.append(region)
            raise ServiceRejected("InvalidClientTokenId.")

        monkeypatch.setattr(sts.Sts, "reach", reach)
        monkeypatch.setattr(MemberClients, "own_key", lambda _self: "ASIA")
        run = accounts(AccountSettings(LISTED), clients)
        run.check(LISTED[0], in_region=False)
        assert reached == []
        with pytest.raises(
            Failed, match=f"^The region {clients.region}, in which its stores are, does not accept the "
        ):
            run.check(LISTED[0], in_region=True)
        assert reached == [clients.region]
