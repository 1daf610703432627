"""A rotation of which some destinations fail: the others have the new key, and the next run does the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.company import CIRCLECI, GITHUB, GITLAB, STORE, TWENTY, VAULT, WEBHOOK, cue, ends

if TYPE_CHECKING:
    from services.company import Company

FAILING = [GITHUB[1], GITLAB[1], VAULT[3]]
"""A deleted repository, an archived project, a Vault that is down."""


def fail_in_the_middle(company: Company) -> None:
    """Let the three fail as soon as the first destination is written: preflight has found nothing wrong by then."""

    def strike() -> None:
        company.github.delete("acme/site-2")
        company.gitlab.targets["projects/acme/app-2"]["archived"] = True
        company.far.__exit__()

    company.github.add(cue("PUT", "/site-1/", strike))


def mend(company: Company) -> None:
    company.github.gone.clear()
    company.gitlab.targets["projects/acme/app-2"]["archived"] = False
    company.far.__enter__()


class TestThreeOfTwenty:
    def test_fail_and_the_others_have_the_new_key(self, company: Company) -> None:
        before = company.settle()
        fail_in_the_middle(company)
        ran = company.run("rotate", "--force", "--json")
        (result,) = ran.document["results"]
        assert (ran.code, result["outcome"], result["reason"]) == (1, "failed", "delivery_failed")
        assert ends(ran, "failed") == FAILING
        assert company.holding() == [url for url in TWENTY if url not in FAILING]
        assert ends(ran, "delivered") == [STORE.format(user="ci"), *company.holding()]
        assert {(key, state) for key, state, _ in company.rig.aws.keys("ci")} == {
            (before, "Active"),
            (result["current"], "Active"),
        }
        assert company.rig.aws.count("iam:CreateAccessKey") == 1

    def test_each_says_why_and_what_to_do(self, company: Company) -> None:
        company.settle()
        fail_in_the_middle(company)
        ran = company.run("rotate", "--force", "--json")
        (result,) = ran.document["results"]
        said = {one["destination"]: one.get("message", "") for one in result["destinations"]}
        assert "it does not exist, or the token has no access to it" in said[GITHUB[1]]
        assert "archived" in said[GITLAB[1]]
        assert f"Vault ({company.far.url}) cannot be reached" in said[VAULT[3]]
        assert "Nothing was sent." in said[VAULT[3]]
        assert "could not be delivered to 3 of 20 destinations" in result["message"]
        assert "the previous key still works everywhere else" in result["message"]

    def test_are_all_named_in_lines_too(self, company: Company) -> None:
        company.settle()
        fail_in_the_middle(company)
        ran = company.run("rotate", "--force")
        assert all(f"{url}: " in ran.out for url in FAILING), ran.out

    def test_are_delivered_to_by_the_next_run_and_nobody_else_is(self, company: Company) -> None:
        company.settle()
        fail_in_the_middle(company)
        company.run("rotate", "--force")
        company.forget()
        mend(company)
        ran = company.run("rotate", "--json")
        (result,) = ran.document["results"]
        assert (ran.code, result["outcome"], result["reason"]) == (0, "completed", "interrupted")
        assert ends(ran, "delivered") == FAILING
        assert company.holding() == list(TWENTY)
        assert company.writes() == {"github": 2, "gitlab": 2, "far": 2}
        assert company.rig.aws.count("iam:CreateAccessKey") == 0

    def test_and_then_nothing_is_written_any_more(self, company: Company) -> None:
        company.settle()
        fail_in_the_middle(company)
        company.run("rotate", "--force")
        mend(company)
        company.run("rotate")
        company.forget()
        for command in ("rotate", "plan", "status"):
            assert company.run(command).code == 0
        assert company.writes() == {}
        assert not [one.operation for one in company.rig.aws.requests if one.operation.startswith(("Put", "Create"))]

    def test_stay_failed_while_they_are_not_mended_and_no_second_key_is_made(self, company: Company) -> None:
        company.settle()
        fail_in_the_middle(company)
        company.run("rotate", "--force")
        company.forget()
        ran = company.run("rotate", "--force", "--json")
        assert (ran.code, ends(ran, "failed")) == (1, FAILING)
        assert company.rig.aws.count("iam:CreateAccessKey") == 0
        assert company.writes() == {}


class TestATokenThatExpiresMidway:
    def test_fails_what_is_left_of_its_service_and_no_other(self, company: Company) -> None:
        company.settle()
        fresh = expire(company)
        ran = company.run("rotate", "--force", "--json")
        assert ran.code == 1
        assert ends(ran, "failed") == list(GITLAB[1:])
        said = {one["destination"]: one.get("message", "") for one in ran.document["results"][0]["destinations"]}
        assert "GitLab does not accept the token." in said[GITLAB[2]]
        assert "gitlab.token" in said[GITLAB[2]]
        company.forget()
        company.token_file.write_text(f"{fresh}\n")
        again = company.run("rotate", "--json")
        assert (again.code, ends(again, "delivered")) == (0, list(GITLAB[1:]))
        assert company.holding() == list(TWENTY)
        assert company.writes() == {"gitlab": 6}
        assert company.rig.aws.count("iam:CreateAccessKey") == 0

    def test_is_read_again_from_its_file_and_nothing_fails(self, company: Company) -> None:
        company.settle()
        fresh = expire(company)
        company.gitlab.add(cue("P*", "app-2", lambda: company.token_file.write_text(fresh)))
        ran = company.run("rotate", "--force", "--json")
        assert (ran.code, ends(ran, "failed")) == (0, [])
        assert company.holding() == list(TWENTY)
        assert company.gitlab.token == fresh


def expire(company: Company) -> str:
    """Let GitLab take another token only, as soon as its second project is written; return that one."""
    fresh = f"{company.gitlab.token}-fresh"

    def strike() -> None:
        company.gitlab.token = fresh

    company.gitlab.add(cue("P*", "app-2", strike))
    return fresh


class TestSilentPlaces:
    def test_are_not_written_again_where_the_journal_knows_them(self, company: Company) -> None:
        company.settle(*GITHUB, *CIRCLECI)
        assert company.run("rotate").code == 0
        assert company.writes() == {}

    def test_the_others_tell_themselves(self, company: Company) -> None:
        company.settle(*WEBHOOK, *VAULT)
        assert company.run("rotate").code == 0
        assert company.writes() == {}
