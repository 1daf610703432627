"""``twokey deliver`` to services: a pipeline that is new, a token that was repaired, a secret put back by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.company import CIRCLECI, GITHUB, GITLAB, TWENTY, VAULT, WEBHOOK, ends

if TYPE_CHECKING:
    from services.company import Company


def words(company: Company) -> dict[str, str]:
    """Return what ``status`` says of each destination."""
    (entry,) = company.run("status", "--json").document["users"]
    return {one["destination"]: one["outcome"] for one in entry["destinations"]}


def put_back(company: Company, name: str = "site-1") -> None:
    """Write GitHub's secrets as another program does, as after a rollback of a repository's settings."""
    secrets = company.github.secrets[f"acme/{name}/actions"]
    for secret in secrets.values():
        secret.update(value="an older one", updated_at=company.github.stamp())


class TestANewPipeline:
    def test_gets_the_key_and_no_other_is_written_to(self, company: Company) -> None:
        company.settle(*GITLAB, *VAULT, *WEBHOOK[:-1])
        company.configure(*GITLAB, *VAULT, *WEBHOOK)
        ran = company.run("deliver", "--json")
        assert (ran.code, ends(ran, "delivered"), ends(ran, "failed")) == (0, [WEBHOOK[-1]], [])
        assert set(company.holding()) == {*GITLAB, *VAULT, *WEBHOOK}
        assert company.writes() == {"webhook": 1}
        assert company.rig.aws.count("iam:CreateAccessKey") == 0

    def test_that_is_silent_is_known_to_hold_it_from_then_on(self, company: Company) -> None:
        company.settle(*VAULT)
        company.configure(*VAULT, GITHUB[0])
        assert words(company)[GITHUB[0]] == "empty"
        assert company.run("deliver").code == 0
        assert words(company)[GITHUB[0]] == "held"
        company.forget()
        assert company.run("rotate").code == 0
        assert company.writes() == {}

    def test_that_is_named_on_the_command_line_alone(self, company: Company) -> None:
        company.settle(*VAULT)
        ran = company.run("deliver", "--to", GITHUB[0], "--unmanaged", "--json")
        assert (ran.code, ends(ran, "delivered")) == (0, [GITHUB[0]])
        assert company.holding() == [GITHUB[0], *VAULT]
        assert company.writes() == {"github": 2}

    def test_that_does_not_exist_is_named_and_the_others_get_theirs(self, company: Company) -> None:
        company.settle(*VAULT)
        company.configure(*VAULT, "github:acme/nowhere", GITLAB[0])
        ran = company.run("deliver", "--json")
        assert (ran.code, ends(ran, "failed"), ends(ran, "delivered")) == (1, ["github:acme/nowhere"], [GITLAB[0]])
        assert "cannot list the secrets of acme/nowhere" in ran.document["results"][0]["message"]


class TestARepairedToken:
    def test_is_used_for_what_could_not_be_delivered(self, company: Company) -> None:
        company.settle()
        good, company.github.token = company.github.token, "ghp_another"
        ran = company.run("deliver", "--json")
        assert ran.code == 1
        assert ends(ran, "failed") == list(GITHUB)
        assert "GitHub does not accept the token" in ran.document["results"][0]["message"]
        assert "ACME_GITHUB" in ran.document["results"][0]["message"]
        company.github.token = good
        again = company.run("deliver", "--json")
        assert again.code == 0
        assert company.holding() == list(TWENTY)

    def test_keeps_a_rotation_from_beginning_while_it_is_not_repaired(self, company: Company) -> None:
        before = company.settle()
        company.circleci.token = "CCIPAT_another"
        ran = company.run("rotate", "--force", "--json")
        (result,) = ran.document["results"]
        assert ran.code != 0
        assert "CircleCI does not accept the token" in result["message"]
        assert company.rig.aws.count("iam:CreateAccessKey") == 0
        assert company.rig.ids() == [before]
        assert company.writes() == {}


class TestASecretThatWasPutBackByHand:
    def test_is_shown_by_status_and_fixed_by_deliver(self, company: Company) -> None:
        company.settle()
        put_back(company)
        status = company.run("status")
        assert f"  ci: {GITHUB[0]}: cannot tell, another program has written there since it received" in status.out
        ran = company.run("deliver", "--json")
        assert ran.code == 0
        assert GITHUB[0] in ends(ran, "delivered")
        assert company.holding() == list(TWENTY)
        assert words(company)[GITHUB[0]] == "held"

    def test_is_mended_by_rotate_which_writes_nowhere_else(self, company: Company) -> None:
        company.settle()
        put_back(company)
        ran = company.run("rotate", "--json")
        assert (ran.code, ran.outcomes) == (0, {"ci": "completed"})
        assert ends(ran, "delivered") == [GITHUB[0]]
        assert company.writes() == {"github": 2}
        assert company.holding() == list(TWENTY)
        assert company.rig.aws.count("iam:CreateAccessKey") == 0

    def test_in_a_destination_that_shows_its_value_is_shown_by_its_key(self, company: Company) -> None:
        first = company.settle(*GITLAB)
        old = company.read(GITLAB[0])
        company.run("rotate", "--force")
        company.gitlab.put("projects/acme/app-1", "AWS_ACCESS_KEY_ID", old[0] or "")
        company.gitlab.put("projects/acme/app-1", "AWS_SECRET_ACCESS_KEY", old[1] or "")
        assert f"{GITLAB[0]}: out of date, holds {first}" in company.run("status").out
        company.forget()
        assert company.run("deliver").code == 0
        assert company.writes() == {"gitlab": 2}
        assert company.read(GITLAB[0])[0] == company.rig.held()


class TestTo:
    def test_leaves_all_others_alone(self, company: Company) -> None:
        company.settle()
        for number in range(1, 5):
            put_back(company, f"site-{number}")
        company.webhook.write("/hooks/1", {"AccessKeyId": "AKIAOLD", "SecretAccessKey": "old"})
        ran = company.run("deliver", "--to", GITHUB[2], "--to", WEBHOOK[0], "--json")
        assert ran.code == 0
        assert ends(ran, "delivered") == [WEBHOOK[0], GITHUB[2]]
        assert company.writes() == {"github": 2, "webhook": 1}
        assert set(TWENTY) - set(company.holding()) == {GITHUB[0], GITHUB[1], GITHUB[3]}

    def test_writes_nothing_where_the_place_says_that_it_has_the_key(self, company: Company) -> None:
        company.settle()
        ran = company.run("deliver", "--to", WEBHOOK[0])
        assert ran.code == 0
        assert "already holds" in ran.out
        assert company.writes() == {}

    def test_writes_again_where_no_service_shows_what_is_there(self, company: Company) -> None:
        company.settle()
        assert company.run("deliver", "--to", CIRCLECI[0]).code == 0
        assert company.writes() == {"circleci": 2}
        assert company.holding() == list(TWENTY)
