"""What an account has is read with few requests, whatever IAM does with its credential report."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.rig import DAY
from twokey.aws.iam import Iam
from twokey.core.errors import AccessDenied, Failed, NotFound
from twokey.core.journal import Journal
from twokey.emulator import Rule
from twokey.inventory.audit import Request, audit
from twokey.inventory.decision import Managed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from support.rig import Rig
    from twokey.core.model import MachineUser
    from twokey.reports.audit import Audit

STORE = "secretsmanager:machine-users/ci"


def read(rig: Rig, **request: Any) -> Audit:
    """Audit the account, in which twokey rotates the user ci."""

    def members(users: Sequence[MachineUser]) -> list[Managed]:
        return [Managed(one, rig.policy, STORE, (), rig.record()) for one in users if one.name == "ci"]

    return audit(Iam(rig.clients_of("audit")), Request(**request), members)


def keys(result: Audit, user: str = "ci") -> list[tuple[str | None, str]]:
    return [(key.key_id, key.role) for key in result.keys if key.user == user]


def listed(rig: Rig) -> int:
    return rig.aws.count("iam:ListAccessKeys")


def deny(rig: Rig, action: str, message: str = "") -> None:
    message = message or f"User: x is not authorized to perform: {action} on resource: *"
    rig.aws.weather.add(
        Rule(action, times=None, effect="error_before", status=403, code="AccessDenied", message=message)
    )


@pytest.fixture
def rotated(rig: Rig) -> Rig:
    """A rig whose user was rotated 16 days ago."""
    last, current = rig.settled()
    committed = rig.aws.now() - timedelta(days=16) + timedelta(seconds=5)
    journal = Journal(current=current.access_key_id, last=last.access_key_id, committed=committed)
    rig.store().save_journal(journal, rig.record().revision)
    rig.aws.clear_requests()
    return rig


class TestTheIds:
    def test_of_a_user_to_whom_nothing_has_happened_come_from_the_journal(self, rotated: Rig) -> None:
        last, current = rotated.ids()
        assert keys(read(rotated)) == [(last, "last"), (current, "current")]
        assert listed(rotated) == 0
        assert rotated.aws.count("iam:*") <= 4

    def test_are_listed_for_each_user_with_keys_on_request(self, rotated: Rig) -> None:
        rotated.aws.make_user("other", path="/", keys=2)
        rotated.aws.make_user("none", path="/", keys=0)
        found = read(rotated, ids=True)
        assert [(key, "unmanaged") for key in rotated.ids("other")] == keys(found, "other")
        assert listed(rotated) == 3  # the administrator of the emulator has a key, too

    def test_of_a_report_that_is_older_than_a_rotation_are_corrected_with_one_request(self, rotated: Rig) -> None:
        read(rotated)
        former = rotated.ids()[1]
        rotated.rotate(force=True, ignore_last_use=True)
        rotated.aws.clear_requests()
        found = read(rotated)
        current = rotated.held()
        assert keys(found) == [(former, "last"), (current, "current")]
        assert [key.last_use_known for key in found.keys if key.key_id == current] == [False]
        assert listed(rotated) == 1

    def test_of_last_in_its_soak_are_listed(self, rotated: Rig) -> None:
        last, current = rotated.ids()
        rotated.aws.client("iam").update_access_key(UserName="ci", AccessKeyId=last, Status="Inactive")
        found = read(rotated)
        assert keys(found) == [(last, "last"), (current, "current")]
        assert [key.status for key in found.keys if key.user == "ci"] == ["Inactive", "Active"]
        assert listed(rotated) == 1

    def test_that_may_not_be_listed_are_unknown_and_so_are_the_roles(self, rotated: Rig) -> None:
        rotated.aws.client("iam").update_access_key(UserName="ci", AccessKeyId=rotated.ids()[0], Status="Inactive")
        deny(rotated, "iam:ListAccessKeys")
        found = read(rotated)
        assert keys(found) == [(None, "unknown"), (None, "unknown")]
        assert "TK708" in {one.id for one in found.findings}
        assert not found.complete
        [warning] = found.warnings
        assert warning.startswith("The keys of ci cannot be listed, so their IDs and roles are unknown: Access denied")
        assert warning.endswith("Allow iam:ListAccessKeys on it for the principal that runs twokey.")

    def test_that_may_not_be_listed_for_the_same_cause_are_one_warning_whatever_the_users_names(self, rig: Rig) -> None:
        rig.aws.make_user("e", path="/machine-users/", keys=1)
        rig.aws.make_user("ci", path="/machine-users/", keys=1)
        deny(rig, "iam:ListAccessKeys", "explicit deny")
        [warning] = read(rig, path="/machine-users/", ids=True).warnings
        assert warning.startswith("The keys of 2 users (ci, e) cannot be listed, so their IDs and roles are unknown: ")
        assert warning.endswith("on USER. Allow iam:ListAccessKeys on it for the principal that runs twokey.")

    def test_of_a_user_that_was_deleted_since_the_report_are_left_out_and_that_is_said(self, rotated: Rig) -> None:
        [key] = rotated.aws.make_user("short-lived", path="/", keys=1)
        read(rotated)
        iam = rotated.aws.client("iam")
        iam.delete_access_key(UserName="short-lived", AccessKeyId=key.access_key_id)
        iam.delete_user(UserName="short-lived")
        found = read(rotated, ids=True)
        assert "short-lived" not in {one.user for one in found.users}
        assert "still has short-lived, deleted since it was made" in found.warnings[0]


class TestTheReport:
    def test_is_waited_for(self, rotated: Rig) -> None:
        rotated.aws.weather.report_delay = 20
        assert read(rotated).complete

    def test_that_takes_too_long_is_an_error_that_says_so(self, rotated: Rig) -> None:
        rotated.aws.weather.report_delay = 600
        with pytest.raises(NotFound, match="still making") as caught:
            read(rotated)
        assert caught.value.remedy == "Run again in a few minutes."

    def test_that_is_too_old_is_refused_with_the_time_of_the_next(self, rotated: Rig) -> None:
        read(rotated)
        rotated.later(hours=3)
        with pytest.raises(Failed, match=r"3h.*ago; --max-age allows 1h") as caught:
            read(rotated, max_age=timedelta(hours=1))
        assert "run again after 20" in caught.value.remedy
        assert read(rotated).complete

    def test_that_exists_is_read_where_none_may_be_made(self, rotated: Rig) -> None:
        read(rotated)
        deny(rotated, "iam:GenerateCredentialReport")
        assert read(rotated).complete

    def test_that_does_not_exist_and_may_not_be_made_is_an_error_about_the_permission(self, rotated: Rig) -> None:
        deny(rotated, "iam:GenerateCredentialReport")
        with pytest.raises(AccessDenied, match="iam:GenerateCredentialReport"):
            read(rotated)

    def test_that_may_not_be_read_is_an_error(self, rotated: Rig) -> None:
        deny(rotated, "iam:GetCredentialReport")
        with pytest.raises(AccessDenied, match="iam:GetCredentialReport"):
            read(rotated)


def test_a_path_selects_users_and_leaves_the_root_user_out(rotated: Rig) -> None:
    rotated.aws.make_user("other", path="/other/", keys=1)
    assert {one.user for one in read(rotated, path="/other/").users} == {"other"}
    nothing = read(rotated, path="/nothing/")
    assert (nothing.users, nothing.keys, nothing.findings, nothing.complete) == ([], [], [], True)


def test_users_of_the_configuration_that_the_report_lacks_are_named(rotated: Rig) -> None:
    found = read(rotated, expected=("ci", "CI", "new-one"))
    assert len(found.warnings) == 1
    assert "does not have new-one of the configuration" in found.warnings[0]


def test_ten_times_as_many_users_need_no_more_requests(rotated: Rig) -> None:
    read(rotated)
    before = rotated.aws.count("iam:*")
    for number in range(30):
        rotated.aws.make_user(f"user-{number}", path="/", keys=2, ages=(40 * DAY, 20 * DAY))
    rotated.later(hours=5)
    rotated.aws.clear_requests()
    assert len(read(rotated).users) > 30
    assert rotated.aws.count("iam:*") <= before
