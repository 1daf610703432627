"""Two users that deliver to one pipeline: under names of their own that works, otherwise nothing is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from services.company import GITHUB, GITLAB, ID, STORE, VAULT
from twokey.testing.fakes.github import GitHub

if TYPE_CHECKING:
    from services.company import Company

USERS = ("ci-site", "ci-app")
OWN_NAMES = "id={USER}_ID&secret={USER}_SECRET"


@pytest.fixture
def two(company: Company) -> Company:
    for user in USERS:
        company.rig.aws.make_user(user, keys=0)
    return company


def entry(user: str, *deliver: Any) -> dict[str, Any]:
    return {"users": [user], "store": STORE, "deliver": list(deliver)}


class TestUnderNamesOfTheirOwn:
    @pytest.mark.parametrize("url", [GITHUB[0], GITLAB[0]])
    def test_each_has_its_own_pair_there(self, two: Company, url: str) -> None:
        two.configure(f"{url}?{OWN_NAMES}", users=USERS)
        for options in ((), ("--force",)):
            ran = two.run("rotate", "--json", *options)
            assert (ran.code, set(ran.outcomes.values())) == (0, {"rotated"})
            for user, name in zip(USERS, ("CI_SITE", "CI_APP"), strict=True):
                stored = two.rig.stored(user)
                assert stored
                found = two.read(url, f"{name}_ID", f"{name}_SECRET")
                assert found == (stored.access_key_id, stored.secret_access_key)
        two.forget()
        assert set(two.run("rotate", "--json").outcomes.values()) == {"not_due"}
        assert two.writes() == {}

    def test_one_that_fails_does_not_hold_the_other_up(self, two: Company) -> None:
        two.write(entry("ci-site", f"{GITHUB[0]}?{OWN_NAMES}"), entry("ci-app", "github:acme/gone"))
        ran = two.run("rotate", "--json")
        assert ran.code in (1, 3)
        assert ran.outcomes["ci-site"] == "rotated"
        assert ran.outcomes["ci-app"] in ("refused", "failed")
        assert two.rig.ids("ci-app") == []

    def test_names_may_be_written_as_a_mapping(self, two: Company) -> None:
        two.configure({"to": GITHUB[0], "id": "{USER}_ID", "secret": "{USER}_SECRET"}, users=USERS)
        assert two.run("rotate").code == 0
        assert two.github.value("acme/site-1/actions", "CI_APP_ID") == two.rig.held("ci-app")

    @pytest.mark.parametrize("url", [GITHUB[0], GITLAB[0]])
    def test_from_two_entries(self, two: Company, url: str) -> None:
        two.write(*(entry(user, f"{url}?{OWN_NAMES}") for user in USERS))
        ran = two.run("rotate", "--json")
        assert (ran.code, set(ran.outcomes.values())) == (0, {"rotated"})
        for user, name in zip(USERS, ("CI_SITE", "CI_APP"), strict=True):
            stored = two.rig.stored(user)
            assert stored
            assert two.read(url, f"{name}_ID", f"{name}_SECRET") == (stored.access_key_id, stored.secret_access_key)

    def test_that_come_to_the_same_are_refused_with_what_to_change(self, company: Company) -> None:
        for user in ("ci-site", "ci.site"):
            company.rig.aws.make_user(user, keys=0)
        company.write(*(entry(user, f"{GITHUB[0]}?{OWN_NAMES}") for user in ("ci-site", "ci.site")))
        ran = company.run("rotate")
        assert (ran.code, ran.out) == (2, "")
        assert "{USER} is CI_SITE for both." in ran.err
        assert "give each user separate" not in ran.err


OVERWRITING = {
    "the same names": (entry("ci-site", GITHUB[0]), entry("ci-app", GITHUB[0])),
    "names that come to the same": (
        entry("ci-site", f"{GITHUB[0]}?id=A&secret=B"),
        entry("ci-app", f"{GITHUB[0]}?id=C&secret=B"),
    ),
    "the same destination, by options in another order": (
        entry("ci-site", f"{GITLAB[0]}?scope=production&id=A"),
        entry("ci-app", f"{GITLAB[0]}?id=A&scope=production"),
    ),
    "a name that GitHub takes for the same": (
        entry("ci-site", f"{GITHUB[0]}?id=deploy_id&secret=s1"),
        entry("ci-app", f"{GITHUB[0]}?id=DEPLOY_ID&secret=s2"),
    ),
    "a store that another user delivers to": (
        entry("ci-site", "secretsmanager:machine-users/ci-app"),
        entry("ci-app"),
    ),
    "a destination and what goes without saying of it": (
        entry("ci-site", f"{GITHUB[0]}?set=actions"),
        entry("ci-app", GITHUB[0]),
    ),
    "a destination and how its variables are to look once they are made": (
        entry("ci-site", f"{GITLAB[0]}?masked=true"),
        entry("ci-app", f"{GITLAB[0]}?protected=true&scope=*"),
    ),
    "a repository in other letters": (entry("ci-site", GITHUB[0]), entry("ci-app", "github:ACME/Site-1")),
    "a receiver that is asked and one that is not": (
        entry("ci-site", "webhook:/hooks/1"),
        entry("ci-app", "webhook:/hooks/1?actions=held"),
    ),
    "the same destination through two connections": (
        entry("ci-site", GITHUB[0]),
        entry("ci-app", f"{GITHUB[0]}?connection=again"),
    ),
}


class TestThatWouldOverwriteEachOther:
    @pytest.mark.parametrize("case", OVERWRITING)
    def test_are_refused_before_any_change(self, two: Company, case: str) -> None:
        again = {"kind": "github", "url": two.github.url, "token": {"env": "ACME_GITHUB"}}
        two.write(*OVERWRITING[case], again=again)
        for command in ("rotate", "deliver", "plan", "status"):
            ran = two.run(command)
            assert (ran.code, ran.out) == (2, ""), ran.err
            assert "{user}" in ran.err
            assert "id={USER}_ID" in ran.err
        assert two.writes() == {}
        assert [two.rig.ids(user) for user in USERS] == [[], []]
        assert all(one.operation.startswith(("List", "Get")) for one in two.rig.aws.requests)

    def test_by_a_template_without_the_users_name(self, two: Company) -> None:
        two.configure(GITHUB[0], users=USERS)
        ran = two.run("rotate")
        assert (ran.code, ran.out) == (2, "")
        assert "id={USER}_ID" in ran.err
        assert two.rig.aws.requests == []


class TestOnTwoServers:
    def test_places_of_the_same_name_are_two(self, company: Company) -> None:
        """The example of ``connections:`` in the reference."""
        company.rig.aws.make_user("ci", keys=0)
        with GitHub(token=company.github.token) as enterprise:
            enterprise.add_repository("acme/site-1")
            reached = {"kind": "github", "url": enterprise.url, "token": {"env": "ACME_GITHUB"}}
            company.configure(GITHUB[0], {"to": GITHUB[0], "connection": "enterprise"}, enterprise=reached)
            assert company.run("rotate").code == 0
            held = company.rig.held()
            assert company.read(GITHUB[0])[0] == enterprise.value("acme/site-1/actions", ID) == held

    def test_a_vaults_namespaces_are_two(self, company: Company) -> None:
        company.rig.aws.make_user("ci", keys=0)
        reached = {**company.connections["vault"], "kind": "vault", "namespace": "team"}
        company.configure(VAULT[0], f"{VAULT[0]}?connection=team", team=reached)
        assert company.run("plan").code == 0


class TestByTwoNames:
    """A repository that was renamed is still reached by its former name: only GitHub knows that both are one."""

    def test_one_user_gets_it_and_the_other_is_refused_with_both_names(self, two: Company) -> None:
        two.github.rename("acme/site-1", "acme/shop")
        two.write(entry("ci-site", "github:acme/shop"), entry("ci-app", "github:acme/site-1"))
        ran = two.run("rotate", "--json", "--concurrency", "1")
        assert (ran.code, sorted(ran.outcomes.values())) == (3, ["refused", "rotated"])
        (rotated,) = [user for user, outcome in ran.outcomes.items() if outcome == "rotated"]
        (refused,) = set(USERS) - {rotated}
        assert two.github.value("acme/shop/actions", ID) == two.rig.held(rotated)
        assert two.rig.ids(refused) == []
        assert "github:acme/shop" in ran.out
        assert "are two names of the same thing (acme/shop actions), where both write AWS_ACCESS_KEY_ID" in ran.out

    def test_of_one_user_nothing_is_changed(self, two: Company) -> None:
        two.github.rename("acme/site-1", "acme/shop")
        two.write(entry("ci-site", "github:acme/shop", "github:acme/site-1"))
        for command, code in (("status", 1), ("plan", 0), ("rotate", 3)):
            ran = two.run(command, "--json")
            assert ran.code == code
            assert "are two names of the same thing" in ran.out
        assert two.rig.ids("ci-site") == []
        assert two.writes() == {}
