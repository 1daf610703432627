"""The functions of ``twokey.api`` do what the commands of their names do, for a program."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from support.commands import twokey
from twokey import api
from twokey.emulator import Rule

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.rig import Rig

TEXT = """\
version: 1
settle: 0s
verify: {successes: 1, interval: 0s}
machine_users:
  - path: /machine-users/
    store: secretsmanager:machine-users/{user}
"""


def _timeless(document: str) -> object:
    """Return a document without what changes from one second to the next."""
    return json.loads(re.sub(r'(?<="age_seconds": )\d+|\d{4}-\d\d-\d\dT[\d:]+Z|\b\d+[dhms]\b', "0", document))


@pytest.fixture
def configuration() -> api.Configuration:
    return api.parse(TEXT)


class TestResults:
    def test_a_program_gets_what_the_commands_print(self, rig: Rig, tmp_path: Path) -> None:
        rig.settled()
        file = tmp_path / "twokey.yaml"
        file.write_text(TEXT)
        configuration = api.load(file)
        for command in (api.plan, api.status, api.audit):
            printed = twokey(command.__name__, "--config", str(file), "--json").out
            assert _timeless(printed) == _timeless(api.encode(command(configuration)))

    def test_a_rotation_is_that_of_the_command(self, rig: Rig, configuration: api.Configuration) -> None:
        last, current = rig.settled()
        [entry] = api.rotate(configuration).results
        assert (entry.user, entry.outcome, entry.reason) == ("ci", api.Outcome.ROTATED, api.Reason.DUE)
        assert (entry.removed, entry.last, entry.current) == ([last.access_key_id], current.access_key_id, rig.held())
        assert api.rotate(configuration).summary["not_due"] == 1

    def test_only_the_named_users_are_rotated(self, rig: Rig, configuration: api.Configuration) -> None:
        rig.settled()
        rig.aws.make_user("other", path="/machine-users/", keys=0)
        document = api.rotate(configuration, "other", "nobody")
        assert [(one.user, one.outcome) for one in document.results] == [("other", "rotated"), ("nobody", "failed")]
        assert len(rig.ids("ci")) == 2

    def test_the_options_are_those_of_the_command(self, rig: Rig, configuration: api.Configuration) -> None:
        _, current = rig.settled()
        rig.rotate()
        assert api.plan(configuration, force=True).results[0].reason == api.Reason.GRACE
        allowed = api.plan(configuration, force=True, retire=current.access_key_id)
        assert f"delete {current.access_key_id}" in allowed.results[0].actions
        assert api.plan(configuration, force=True, ignore_last_use=True).summary["rotated"] == 1
        rig.aws.make_user("other", path="/machine-users/", keys=0)
        assert {one.reason for one in api.rotate(configuration, max_users=1).results} == {api.Reason.TOO_MANY_USERS}

    def test_the_audit_log_has_the_run(self, rig: Rig, configuration: api.Configuration, tmp_path: Path) -> None:
        rig.settled()
        api.rotate(configuration, audit_log=tmp_path / "audit.log")
        assert twokey("audit-log", "verify", str(tmp_path / "audit.log")).code == 0
        assert "ended" in (tmp_path / "audit.log").read_text()

    def test_a_plan_that_was_approved_is_performed_or_refused(
        self, rig: Rig, configuration: api.Configuration, tmp_path: Path
    ) -> None:
        rig.settled()
        file = tmp_path / "plan.json"
        assert api.plan(configuration, out=file).summary["rotated"] == 1
        rig.aws.make_user("late", path="/machine-users/", keys=0)
        warnings: list[str] = []
        document = api.rotate(configuration, plan=file, warn=warnings.append)
        assert [(one.user, one.outcome) for one in document.results] == [("ci", "rotated")]
        assert any("late" in warning for warning in warnings)
        assert [one.reason for one in api.rotate(configuration, plan=file).results] == [api.Reason.PLAN_CHANGED]
        file.write_text("{}")
        with pytest.raises(api.Refused) as raised:
            api.rotate(configuration, plan=file)
        assert raised.value.reason is api.Reason.PLAN_INVALID

    def test_without_a_configuration_an_audit_knows_no_managed_user(self, rig: Rig) -> None:
        rig.settled()
        assert [(user.user, user.managed) for user in api.audit(path="/machine-users/", redact=True).users] == [
            ("ci", False)
        ]


class TestErrors:
    @pytest.mark.parametrize(
        ("call", "hint"),
        [
            (lambda _: api.parse("version: 1\nusers: []\n", "mine"), "mine line 2"),
            (lambda _: api.load("nowhere.yaml"), "nowhere.yaml"),
            (lambda found: api.plan(found, retire=["my-key"]), "my-key"),
            (lambda found: api.rotate(found, max_users=0), "--max-users"),
            (lambda found: api.status(found, concurrency=1000), "--concurrency"),
            (lambda found: api.status(found, account="one"), "--account"),
            (lambda found: api.rotate(found, account=[]), "account: no account is named"),
            (lambda found: api.plan(found, sign_with="key.pem"), "--out"),
            (lambda found: api.rotate(found, plan="plan.json", force=True), "--force"),
            (lambda found: api.rotate(found, plan_max_age="1d"), "--plan"),
            (lambda found: api.audit(found, max_age="soon"), "--max-age"),
            (lambda found: api.audit(found, account="one"), "--account"),
            (lambda _: api.audit(account="one"), "account: without a configuration"),
        ],
    )
    def test_a_mistake_is_a_usage_error_and_calls_nothing(
        self, rig: Rig, configuration: api.Configuration, call: object, hint: str
    ) -> None:
        with pytest.raises(api.UsageError, match=hint):
            call(configuration)  # type: ignore[operator]
        assert rig.aws.requests == []

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda one, _: one.parse(TEXT.encode()), "text: expected text, got bytes. Decode it."),
            (lambda one, _: one.parse(None), "text: expected text, got None."),
            (lambda one, _: one.load(7), "file: expected the name of a file, got int."),
            (lambda one, _: one.plan("twokey.yaml"), "Expected a configuration, got str. Make one with load"),
            (lambda one, found: one.status(found, ["ci"]), "users: expected text, got list. Give the names one by one"),
            (lambda one, found: one.rotate(found, max_users="5"), "max_users: expected a number, got str."),
            (lambda one, found: one.rotate(found, concurrency=True), "concurrency: expected a number, got bool."),
            (lambda one, found: one.rotate(found, account=7), "account: expected text, got int."),
            (lambda one, found: one.plan(found, retire=[None]), "retire: expected text, got None."),
            (lambda one, found: one.rotate(found, plan=7), "plan: expected the name of a file, got int."),
            (lambda one, found: one.audit(found, max_age=4), "max_age: expected text, got int."),
        ],
    )
    def test_so_is_an_argument_of_another_type(
        self, rig: Rig, configuration: api.Configuration, call: Callable[[Any, Any], object], message: str
    ) -> None:
        with pytest.raises(api.UsageError) as error:
            call(api, configuration)
        assert str(error.value).startswith(message)
        assert rig.aws.requests == []

    def test_credentials_that_aws_refuses_are_an_error_of_the_whole_run(
        self, rig: Rig, configuration: api.Configuration, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rig.settled()
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        for call in (api.plan, api.rotate, api.status, api.audit):
            with pytest.raises(api.BadCredentials):
                call(configuration)


class TestStopping:
    def test_a_run_that_was_stopped_begins_no_user(self, rig: Rig, configuration: api.Configuration) -> None:
        rig.settled()
        stop = threading.Event()
        stop.set()
        assert [one.reason for one in api.rotate(configuration, stop=stop).results] == [api.Reason.STOPPED]
        assert len(rig.ids()) == 2

    def test_ctrl_c_ends_the_run_after_the_user_under_way_and_tells_how_each_ended(
        self, rig: Rig, configuration: api.Configuration
    ) -> None:
        rig.settled()
        rig.aws.make_user("other", path="/machine-users/", keys=0)
        rig.aws.weather.add(Rule("iam:CreateAccessKey", times=1, effect="hold_before"))

        def interrupt() -> None:
            rig.aws.weather.wait_until_held(300)
            os.kill(os.getpid(), signal.SIGINT)
            rig.aws.weather.release()

        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(api.Interrupted) as raised:
            api.rotate(configuration, concurrency=1)
        thread.join()
        document = raised.value.document
        assert isinstance(document, api.ResultsDocument)
        assert [(one.user, one.reason) for one in document.results] == [
            ("ci", "due"),
            ("other", "stopped"),
        ]


def test_a_warning_about_the_whole_run_goes_to_the_caller(rig: Rig) -> None:
    rig.settled()
    warnings: list[str] = []
    configuration = api.parse(f"{TEXT}    except: [legacy-*]\n", "mine")
    api.plan(configuration, warn=warnings.append)
    assert [text for text in warnings if "legacy-*" in text] != []
    assert api.plan(configuration).summary["rotated"] == 1


def test_a_configuration_shows_nothing_but_its_name(configuration: api.Configuration) -> None:
    assert repr(configuration) == "Configuration(source='the configuration')"
