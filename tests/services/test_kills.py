"""The real command, killed with SIGKILL while it delivers: the next run rolls forward, and makes no second key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from services.company import GITHUB, TELLING, TWENTY, ends

if TYPE_CHECKING:
    from services.company import Company

AFTER = {1: ("gitlab", "app-1"), 5: ("github", "site-2"), 15: ("github", "site-4")}
"""After so many deliveries: the service and the destination whose turn is next."""


def check_rolled_forward(company: Company, before: str) -> None:
    """Every job reads the key that the store holds; the former one works; nothing is left open."""
    keys = company.rig.aws.keys("ci")
    held = company.rig.held()
    assert {(key, state) for key, state, _ in keys} == {(before, "Active"), (held, "Active")}
    assert company.holding() == list(TWENTY)
    journal = company.rig.record().journal
    assert (journal.intent, journal.lease, journal.delivering) == (None, None, ())
    assert (journal.current, journal.last) == (held, before)
    assert {given.key for given in journal.delivered.values()} == {held}
    company.forget()
    again = company.run("rotate", "--json")
    assert (again.code, again.outcomes) == (0, {"ci": "not_due"})
    assert company.writes() == {}


class TestARunThatIsKilled:
    def test_between_the_two_writes_of_a_pair_is_made_good_by_the_next(self, company: Company) -> None:
        before = company.settle()
        company.killed(company.github, "PUT", "/site-2/", nth=2)
        torn = company.read(GITHUB[1])
        stored = company.rig.stored()
        assert stored
        assert torn[0] == stored.access_key_id or torn[1] == stored.secret_access_key
        assert torn != (stored.access_key_id, stored.secret_access_key)
        assert GITHUB[1] in company.rig.record().journal.delivering
        company.rig.aws.clear_requests()
        ran = company.run("rotate", "--json")
        (result,) = ran.document["results"]
        assert (ran.code, result["outcome"], result["reason"]) == (0, "completed", "interrupted")
        assert company.rig.aws.count("iam:CreateAccessKey") == 0
        check_rolled_forward(company, before)

    @pytest.mark.parametrize("deliveries", AFTER)
    def test_after_some_deliveries_goes_on_with_the_others(self, company: Company, deliveries: int) -> None:
        before = company.settle()
        service, place = AFTER[deliveries]
        company.killed(getattr(company, service), "P*", place)
        assert company.holding() == list(TWENTY[:deliveries])
        company.forget()
        ran = company.run("rotate", "--json")
        assert ran.code == 0, ran.out + ran.err
        assert ran.outcomes == {"ci": "completed"}
        assert company.rig.aws.count("iam:CreateAccessKey") == 0
        written = set(ends(ran, "delivered"))
        assert set(TWENTY[deliveries:]) <= written
        assert not written & TELLING & set(TWENTY[:deliveries]), "those say that they have it"
        check_rolled_forward(company, before)

    def test_is_shown_by_status_and_plan_until_then(self, company: Company) -> None:
        company.settle()
        company.killed(company.github, "PUT", "/site-2/", nth=2)
        status = company.run("status")
        assert (
            f"{GITHUB[1]}: out of date, a delivery was not finished: ID and secret may not belong together"
            in status.out
        )
        assert (
            "An earlier run was interrupted, or could not deliver to every destination; the next run finishes its work."
            in status.out
        )
        plan = company.run("plan")
        assert "will be completed (interrupted)" in plan.out

    def test_is_finished_by_deliver_too(self, company: Company) -> None:
        before = company.settle()
        company.killed(company.github, "PUT", "/site-2/", nth=2)
        ran = company.run("deliver", "--json")
        assert (ran.code, ran.outcomes) == (0, {"ci": "completed"})
        check_rolled_forward(company, before)
