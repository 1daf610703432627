"""How a run recognizes, in the journal, what its destinations received."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from twokey.core.identities import elsewhere, identity_of, recognized
from twokey.core.journal import Delivery, Journal

AT = datetime(2026, 6, 1, tzinfo=UTC)
HERE = identity_of(["ssm:/ci", "eu-central-1"], "eu-central-1")
THERE = identity_of(["ssm:/ci", "us-east-1"], "us-east-1")


def given(identity: str = "", key: str = "K2", hours: float = 0) -> Delivery:
    return Delivery(key, AT + timedelta(hours=hours), identity=identity)


def names(journal: Journal) -> dict[str, str]:
    return {name: delivery.key for name, delivery in journal.delivered.items()}


class TestADelivery:
    def test_to_this_thing_is_one_to_this_destination(self) -> None:
        journal = Journal(delivered={"ssm:/ci": given(HERE)}, delivering=("ssm:/ci",))
        assert recognized(journal, {"ssm:/ci": HERE}) is journal

    def test_without_an_identity_is_believed_to_be_one_to_this_destination(self) -> None:
        journal = Journal(delivered={"ssm:/ci": given()}, delivering=("ssm:/ci",))
        seen = recognized(journal, {"ssm:/ci": HERE})
        assert seen.delivered == {"ssm:/ci": given(HERE)}
        assert seen.delivering == ("ssm:/ci",)

    def test_to_the_same_url_elsewhere_is_kept_under_a_name_that_says_where(self) -> None:
        journal = Journal(delivered={"ssm:/ci": given(THERE)}, delivering=("ssm:/ci",))
        seen = recognized(journal, {"ssm:/ci": HERE})
        assert seen.delivered == {"ssm:/ci (us-east-1)": given(THERE)}
        assert seen.delivering == ("ssm:/ci (us-east-1)",)

    def test_elsewhere_is_recognized_again_by_a_run_from_there(self) -> None:
        journal = Journal(delivered={"ssm:/ci (us-east-1)": given(THERE, "K1"), "ssm:/ci": given(HERE)})
        seen = recognized(journal, {"ssm:/ci": THERE})
        assert names(seen) == {"ssm:/ci": "K1", "ssm:/ci (eu-central-1)": "K2"}
        assert names(recognized(seen, {"ssm:/ci": HERE})) == names(journal)

    def test_to_this_thing_under_another_url_is_one_to_this_destination(self) -> None:
        journal = Journal(delivered={"ssm:/ci?format=json": given(HERE)}, delivering=("ssm:/ci?format=json",))
        seen = recognized(journal, {"ssm:/ci": HERE})
        assert seen.delivered == {"ssm:/ci": given(HERE)}
        assert seen.delivering == ("ssm:/ci",)

    def test_under_two_urls_counts_as_the_later_one(self) -> None:
        for later in (0, 1):
            journal = Journal(delivered={"a": given(HERE, "K1", 1 - later), "b": given(HERE, "K2", later)})
            assert names(recognized(journal, {"b": HERE})) == {"b": "K2" if later else "K1"}

    def test_to_a_destination_that_is_not_configured_stays_as_it_is(self) -> None:
        journal = Journal(delivered={"ssm:/old": given(THERE), "ssm:/older": given()})
        assert recognized(journal, {"ssm:/ci": HERE}) is journal

    def test_is_believed_where_this_run_does_not_know_what_its_urls_mean(self) -> None:
        journal = Journal(delivered={"ssm:/ci": given(THERE)})
        assert recognized(journal, {}) is journal


def test_two_identities_with_one_look_get_two_names() -> None:
    one, other = (identity_of([path], path) for path in ("/srv/jobs-x/" + "x" * 40, "/srv/jobs-y/" + "x" * 40))
    assert one.partition(" ")[2] == other.partition(" ")[2]
    assert elsewhere("file:ci", one) != elsewhere("file:ci", other)


def test_an_identity_without_a_text_is_named_by_its_digest() -> None:
    identity = identity_of(["exec:/bin/true"], "")
    assert elsewhere("exec:/bin/true", identity) == f"exec:/bin/true ({identity})"
