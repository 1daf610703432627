"""What ``status`` and ``plan`` show of services, as text and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from services.company import CIRCLECI, GITHUB, GITLAB, STORE, VAULT, WEBHOOK

if TYPE_CHECKING:
    from services.company import Company

NEVER_DELIVERED, REWRITTEN = CIRCLECI[0], CIRCLECI[1]


@pytest.fixture
def mixed(company: Company) -> Company:
    """One destination of every word that there is, after two rotations."""
    company.settle(GITLAB[0], GITLAB[1], GITHUB[0], REWRITTEN, VAULT[0])
    old = company.read(GITLAB[1])
    assert company.run("rotate", "--force").code == 0
    company.configure(GITLAB[0], GITLAB[1], GITHUB[0], NEVER_DELIVERED, REWRITTEN, WEBHOOK[0], VAULT[0])
    company.gitlab.put("projects/acme/app-2", "AWS_ACCESS_KEY_ID", old[0] or "")
    company.gitlab.put("projects/acme/app-2", "AWS_SECRET_ACCESS_KEY", old[1] or "")
    for number in (1, 2):
        variables = company.circleci.projects[f"gh/acme/job-{number}"]
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            variables[name] = {"value": "written by hand", "created": "2026-01-01T00:00:00Z"}
    company.vault.__exit__()
    company.forget()
    return company


WORDS = {
    STORE.format(user="ci"): "held",
    GITLAB[0]: "held",
    GITLAB[1]: "out_of_date",
    GITHUB[0]: "held",
    NEVER_DELIVERED: "cannot_tell",
    REWRITTEN: "cannot_tell",
    WEBHOOK[0]: "empty",
    VAULT[0]: "unreachable",
}


def destinations(entry: dict[str, Any]) -> dict[str, str]:
    return {destination["destination"]: destination["outcome"] for destination in entry["destinations"]}


def keys(company: Company) -> tuple[str, str]:
    """Return the ids of LAST and CURRENT."""
    last, current = company.rig.ids()
    return last, current


class TestStatus:
    def test_tells_of_each_destination_in_json(self, mixed: Company) -> None:
        ran = mixed.run("status", "--json")
        (entry,) = ran.document["users"]
        assert (ran.code, destinations(entry)) == (1, WORDS)  # one of them is unreachable
        held = {key["role"]: key["held_by"] for key in entry["keys"]}
        assert held == {"last": [GITLAB[1]], "current": [STORE.format(user="ci"), GITLAB[0]]}

    def test_tells_of_each_destination_in_lines(self, mixed: Company) -> None:
        last, current = keys(mixed)
        ran = mixed.run("status")
        for line in (
            f"{GITLAB[0]}: held, {current} since ",
            f"{GITLAB[1]}: out of date, holds {last}",
            f"{GITHUB[0]}: held, received {current} at ",
            f"{NEVER_DELIVERED}: cannot tell, it has received no key yet, and does not show what it holds",
            f"{REWRITTEN}: cannot tell, another program has written there since it received {current} at ",
            f"{WEBHOOK[0]}: empty",
            f"{VAULT[0]}: cannot be read: Vault ({mixed.vault.url}) cannot be reached to read secret/jobs/1: ",
        ):
            assert f"\n  ci: {line}" in ran.out

    def test_writes_nothing(self, mixed: Company) -> None:
        for options in ((), ("--json",)):
            assert mixed.run("status", *options).code == 1
        assert mixed.writes() == {}


class TestPlan:
    OUT_OF_DATE = (GITLAB[1], NEVER_DELIVERED, REWRITTEN, WEBHOOK[0])

    def test_tells_of_each_destination_and_what_will_be_done_in_json(self, mixed: Company) -> None:
        ran = mixed.run("plan", "--json")
        (entry,) = ran.document["results"]
        assert (ran.code, entry["outcome"], entry["reason"]) == (0, "completed", "out_of_date")
        assert destinations(entry) == WORDS
        assert f"deliver to {', '.join(self.OUT_OF_DATE)}" in entry["actions"]

    def test_tells_in_lines_what_does_not_hold_current(self, mixed: Company) -> None:
        ran = mixed.run("plan")
        shown = [line for line in ran.out.splitlines() if line.startswith("  ci: ")]
        for destination, line in zip((*self.OUT_OF_DATE, VAULT[0]), shown, strict=False):
            assert line.startswith(f"  ci: {destination}: ")
        assert mixed.run("plan", "--detailed-exitcode").code == 4

    def test_is_what_rotate_then_does(self, mixed: Company) -> None:
        ran = mixed.run("rotate", "--json")
        assert (ran.code, ran.outcomes) == (0, {"ci": "completed"})
        assert mixed.writes() == {"gitlab": 2, "circleci": 4, "webhook": 1}
        mixed.vault.__enter__()
        mixed.forget()
        assert mixed.run("rotate", "--json").outcomes == {"ci": "not_due"}
        assert mixed.writes() == {}

    def test_is_refused_while_a_destination_that_would_tell_cannot_be_read_and_a_key_has_to_go(
        self, mixed: Company
    ) -> None:
        last, current = keys(mixed)
        mixed.run("rotate")
        ran = mixed.run("rotate", "--force", "--ignore-last-use", "--json")
        (result,) = ran.document["results"]
        assert (ran.code, result["outcome"], result["reason"]) == (3, "refused", "unreadable")
        assert f"{VAULT[0]} cannot be read" in result["message"]
        assert mixed.rig.ids() == [last, current]
