"""The changes that a run requested of AWS, with the ids that CloudTrail has of them too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from twokey.aws.iam import Iam
from twokey.core.errors import NotFound
from twokey.emulator import Rule

if TYPE_CHECKING:
    from support.rig import Rig


def test_each_change_is_recorded_with_what_it_was_about_and_its_id(rig: Rig) -> None:
    [key] = rig.aws.make_user("ci", keys=1)
    clients = rig.clients()
    log = clients.record_requests()
    iam = Iam(clients)
    created, credential = iam.create_key("ci")
    iam.deactivate_key("ci", key.access_key_id)
    creation, change = log.sent
    assert (creation.action, creation.subject) == ("iam:CreateAccessKey", f"ci {created.id}")
    assert (change.action, change.subject) == ("iam:UpdateAccessKey", f"ci {key.access_key_id} Inactive")
    assert len({creation.request_id, change.request_id, ""}) == 3
    assert creation.at <= change.at
    assert credential.reveal() not in repr(log.sent)


def test_what_only_reads_is_not_recorded(rig: Rig) -> None:
    rig.aws.make_user("ci", keys=1)
    clients = rig.clients()
    log = clients.record_requests()
    Iam(clients).keys("ci")
    assert log.sent == ()


def test_a_lost_response_and_an_error_are_recorded_as_what_they_are(rig: Rig) -> None:
    [key] = rig.aws.make_user("ci", keys=1)
    clients = rig.clients()
    iam = Iam(clients)
    iam.keys("ci")
    log = clients.record_requests()
    rig.aws.weather.add(Rule("iam:UpdateAccessKey", effect="lost_response"))
    iam.deactivate_key("ci", key.access_key_id)
    lost, again = log.sent
    assert (lost.request_id, lost.status.partition(":")[0]) == ("", "no response")
    assert (bool(again.request_id), again.status) == (True, "")
    with pytest.raises(NotFound):
        iam.deactivate_key("ci", "AKIAAAAAAAAAAAAAAAAA")
    assert log.sent[-1].status == "NoSuchEntity"


def test_of_a_secret_that_is_stored_only_its_name_is_recorded(rig: Rig) -> None:
    _, current = rig.settled()
    log = rig.clients_of("run").record_requests()
    rig.rotate()
    stored = [one for one in log.sent if one.action.startswith("secretsmanager:")]
    assert {one.subject.split()[0] for one in stored} == {"machine-users/ci"}
    secret = rig.stored()
    assert secret is not None
    assert not any(text in repr(log.sent) for text in (secret.secret_access_key, current.secret_access_key))
