"""``twokey trace``: whose a key is, who used it, and what they may have left behind."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from support.commands import twokey
from support.rig import DAY, Rig
from support.traces import intrusion
from twokey.aws.clients import Clients
from twokey.aws.clock import ServiceClock
from twokey.aws.cloudtrail import CloudTrail
from twokey.cli import terminal
from twokey.core.journal import Journal
from twokey.emulator import Emulator, KeyPair, Rule
from twokey.revocation import following, ownership
from twokey.revocation.conclusions import with_conclusions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONFIG = """
version: 1
machine_users:
  - path: /machine-users/
    store: secretsmanager:machine-users/{user}
"""
STORE = "secretsmanager:machine-users/ci"
EVERYTHING = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
HERE, THERE = "eu-central-1", "us-east-1"
HOSTILE = "tool/1 \x1b[2J<script>alert(1)</script>"
OTHER = "210987654321"


def as_program(aws: Emulator, key: KeyPair, service: str, *, ip: str = "198.51.100.7", agent: str = HOSTILE) -> Any:
    """Return a client that signs with a key, from an address, and calls itself so."""
    client = aws.client(service, key=key, region=HERE)

    def add(request: Any, **_: object) -> None:
        request.headers.update({"x-emulator-source-ip": ip, "User-Agent": agent})

    client.meta.events.register("before-send", add)
    return client


def assumed(aws: Emulator, key: KeyPair, role: str, *, account: str = "") -> KeyPair:
    """Assume a role with a key, as the intruder does."""
    arn = f"arn:aws:iam::{account or aws.account_id}:role/{role}"
    found = as_program(aws, key, "sts").assume_role(RoleArn=arn, RoleSessionName="break-in")["Credentials"]
    return KeyPair(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])


def make_role(aws: Emulator, name: str, trusted: str, account: str | None = None) -> None:
    """Make a role that a principal may assume, and that may do everything."""
    iam = aws.client("iam", key=aws.admin_of(account or aws.account_id))
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": trusted}, "Action": "sts:AssumeRole"}],
    }
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=EVERYTHING)


class Leak:
    """An account in which CURRENT of a user leaked, and what the intruder did with it."""

    def __init__(self, aws: Emulator) -> None:
        self.aws = aws
        rig = Rig(aws)
        self.last, self.current = rig.settled()
        committed = aws.now().replace(microsecond=0)
        journal = Journal(
            current=self.current.access_key_id,
            last=self.last.access_key_id,
            committed=committed.fromtimestamp(committed.timestamp() - 16 * DAY + 5, committed.tzinfo),
        )
        rig.store().save_journal(journal, rig.record().revision)
        [self.unmanaged, self.unused] = aws.make_user("legacy", path="/", keys=2, ages=(400 * DAY, 100 * DAY))
        user = f"arn:aws:iam::{aws.account_id}:user/machine-users/ci"
        iam = aws.client("iam")
        iam.put_user_policy(UserName="ci", PolicyName="all", PolicyDocument=EVERYTHING)
        iam.put_user_policy(UserName="legacy", PolicyName="all", PolicyDocument=EVERYTHING)
        make_role(aws, "deploy", user)
        make_role(aws, "further", f"arn:aws:iam::{aws.account_id}:role/deploy")
        make_role(aws, "theirs", user, OTHER)
        self.break_in()

    def break_in(self) -> None:
        """Use the key as an intruder does."""
        aws = self.aws
        as_program(aws, self.current, "sts", ip="203.0.113.5", agent="job/1").get_caller_identity()
        self.deploy = assumed(aws, self.current, "deploy")
        self.further = assumed(aws, self.deploy, "further")
        self.theirs = assumed(aws, self.current, "theirs", account=OTHER)
        as_program(aws, self.further, "iam").create_user(UserName="backdoor")
        as_program(aws, self.current, "iam").create_access_key(UserName="backdoor")
        as_program(aws, self.unmanaged, "sts", ip="203.0.113.9", agent="old-job/1").get_caller_identity()


@pytest.fixture(scope="module")
def leak() -> Iterator[Leak]:
    with Emulator() as aws, pytest.MonkeyPatch.context() as patch:
        for name, value in aws.environment().items():
            patch.setenv(name, value)
        made = Leak(aws)
        aws.advance(3600)
        yield made


@pytest.fixture(autouse=True)
def aws(leak: Leak, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """AWS, as the operator calls it; its time passes while twokey waits for its turn."""
    for name, value in leak.aws.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(ServiceClock, "sleep", lambda _, seconds: leak.aws.advance(seconds))
    monkeypatch.chdir(tmp_path)
    tmp_path.joinpath("twokey.yaml").write_text(CONFIG, encoding="utf-8")
    leak.aws.advance(2)
    yield leak.aws
    leak.aws.weather.clear()


def trace(key: KeyPair, *arguments: str, code: int = 0) -> Any:
    """Trace a key in the two regions that have events, and return the document."""
    ran = twokey("trace", key.access_key_id, "--json", "--region", HERE, "--region", THERE, *arguments)
    assert ran.code == code, ran.err
    return ran.document


class TestWhoUsedIt:
    def test_the_owner_the_role_and_the_holders_are_named(self, leak: Leak) -> None:
        found = trace(leak.current, code=1)
        assert (found["account"], found["user"], found["role"], found["status"]) == (
            leak.aws.account_id,
            "ci",
            "current",
            "Active",
        )
        assert found["held_by"] == [STORE]
        assert trace(leak.last)["role"] == "last"
        assert trace(leak.unmanaged)["role"] == "unmanaged"

    def test_every_use_says_when_from_where_and_with_what(self, leak: Leak) -> None:
        [use] = trace(leak.unmanaged)["uses"]
        assert use == {
            "time": use["time"],
            "service": "sts",
            "event": "GetCallerIdentity",
            "region": HERE,
            "source_ip": "203.0.113.9",
            "user_agent": "old-job/1",
            "session": None,
            "error": None,
            "mark": None,
            "target": "",
        }

    def test_sessions_are_followed_through_every_role_of_the_account(self, leak: Leak) -> None:
        found = trace(leak.current, code=1)
        made = {one["key_id"]: one for one in found["sessions"]}
        assert made[leak.deploy.access_key_id]["made_from"] == leak.current.access_key_id
        assert made[leak.further.access_key_id]["made_from"] == leak.deploy.access_key_id
        assert made[leak.further.access_key_id]["role"].endswith(":role/further")
        [created] = [use for use in found["uses"] if use["event"] == "CreateUser"]
        assert created["session"] == leak.further.access_key_id

    def test_a_session_of_another_account_is_named_as_not_followed(self, leak: Leak) -> None:
        found = trace(leak.current, code=1)
        [theirs] = [one for one in found["sessions"] if one["key_id"] == leak.theirs.access_key_id]
        assert (theirs["followed"], found["complete"]) == (False, False)
        [why] = found["incomplete"]
        assert f"{theirs['key_id']} of arn:aws:iam::{OTHER}:role/theirs are in account {OTHER}" in why
        assert f"run twokey trace {theirs['key_id']} there" in why

    def test_what_outlives_the_key_is_marked_and_named(self, leak: Leak) -> None:
        marked = {use["event"]: (use["mark"], use["target"]) for use in trace(leak.current, code=1)["uses"]}
        assert marked["CreateUser"] == ("user", "backdoor")
        assert marked["CreateAccessKey"] == ("access key", "backdoor")
        assert marked["AssumeRole"][0] is None

    def test_what_the_user_reaches_is_told(self, leak: Leak) -> None:
        found = trace(leak.last)
        roles = [f"arn:aws:iam::{leak.aws.account_id}:role/{name}" for name in ("deploy", "further")]
        assert (found["administrator"], found["reaches"]) == (True, roles)

    def test_a_key_that_is_gone_has_its_user_from_the_events(self, leak: Leak) -> None:
        iam = leak.aws.client("iam")
        key = iam.create_access_key(UserName="backdoor")["AccessKey"]
        gone = KeyPair(key["AccessKeyId"], key["SecretAccessKey"])
        as_program(leak.aws, gone, "sts").get_caller_identity()
        iam.delete_access_key(UserName="backdoor", AccessKeyId=gone.access_key_id)
        found = trace(gone)
        assert (found["user"], found["role"], found["status"]) == ("backdoor", "unknown", None)
        assert "Unknown: account 123456789012 does not say that it has this key now." in found["conclusions"]["delete"]

    def test_a_key_of_no_known_account_is_said_to_be_unknown(self) -> None:
        found = with_conclusions(
            msgspec.structs.replace(intrusion(), account=None, status=None, role="unknown"), 90, configured=True
        )
        assert "the account of your credentials does not say that it has this key" in found.conclusions.delete


class TestTheAnswers:
    def test_current_may_not_be_deleted_and_revoke_is_named(self, leak: Leak) -> None:
        found = trace(leak.current, code=1)
        assert found["may_delete"] == "no"
        assert found["conclusions"]["delete"].startswith(
            f"No: it is CURRENT of ci, held by {STORE}. If it leaked, replace it: "
            f"twokey revoke {leak.current.access_key_id}"
        )
        assert "3 sessions made from it may work until" in found["conclusions"]["delete"]

    def test_last_is_left_to_twokey(self, leak: Leak) -> None:
        assert trace(leak.last)["conclusions"]["delete"].startswith("No, leave that to twokey: it is LAST of ci")

    def test_an_unmanaged_key_may_go_only_if_nothing_uses_it(self, leak: Leak) -> None:
        used, unused = trace(leak.unmanaged), trace(leak.unused)
        assert (used["may_delete"], unused["may_delete"]) == ("no", "yes")
        assert "for sts from 203.0.113.9. Find that job first" in used["conclusions"]["delete"]
        assert "aws iam update-access-key --user-name legacy" in unused["conclusions"]["delete"]

    def test_a_key_that_was_made_inactive_is_left_to_the_operator(self, leak: Leak) -> None:
        iam, key = leak.aws.client("iam"), leak.unmanaged.access_key_id
        iam.update_access_key(UserName="legacy", AccessKeyId=key, Status="Inactive")
        try:
            found = trace(leak.unmanaged)
        finally:
            iam.update_access_key(UserName="legacy", AccessKeyId=key, Status="Active")
        assert found["may_delete"] == "unknown"
        assert "It is Inactive now. If nothing has failed since" in found["conclusions"]["delete"]

    def test_a_revoked_key_is_deleted_by_revoke(self) -> None:
        found = with_conclusions(msgspec.structs.replace(intrusion(), role="last", revoked=True), 90, configured=True)
        assert (found.may_delete, f"twokey revoke {found.key_id} --delete" in found.conclusions.delete) == ("yes", True)

    def test_an_unused_key_may_not_go_while_a_region_is_unread(self, leak: Leak) -> None:
        leak.aws.weather.add(
            Rule("cloudtrail:*", times=None, effect="error_before", status=400, code="AccessDeniedException")
        )
        found = trace(leak.unused, code=1)
        assert (found["may_delete"], found["regions"]) == ("unknown", [])
        assert "The events of eu-central-1, us-east-1 could not be read" in found["incomplete"][0]
        assert "cloudtrail:LookupEvents" in found["incomplete"][0]

    def test_what_was_done_is_told_without_what_the_intruder_chose(self, leak: Leak) -> None:
        text = trace(leak.current, code=1)["conclusions"]["uses"]
        assert "6 events from 2 addresses between" in text
        assert "Look at what may be left behind: CreateAccessKey, CreateUser." in text
        assert "backdoor" not in text
        assert "script" not in text

    def test_a_use_that_iam_names_and_no_event_shows_is_told(self, leak: Leak) -> None:
        leak.aws.set_last_used(leak.unused.access_key_id, 5 * DAY, service="s3", region=HERE)
        try:
            found = trace(leak.unused)
        finally:
            leak.aws.set_last_used(leak.unused.access_key_id, None)
        assert found["may_delete"] == "no"
        assert "for s3, says IAM." in found["conclusions"]["delete"]
        assert any("no event of that was found" in note for note in found["notes"])


class TestWhatIsNotKnown:
    def test_recent_events_may_be_missing_and_that_is_said(self, leak: Leak) -> None:
        leak.aws.weather.trail_delay = 2 * 3600
        found = trace(leak.unmanaged)
        assert found["uses"] == []
        assert any("CloudTrail needs up to about 15 minutes" in note for note in found["notes"])
        assert found["known_until"] < f"{leak.aws.now():%Y-%m-%dT%H:%M:%SZ}"

    def test_a_region_that_is_denied_is_named_and_the_others_are_read(self, leak: Leak) -> None:
        leak.aws.weather.disabled_regions = {"us-west-2"}
        found = twokey(
            "trace", leak.unmanaged.access_key_id, "--json", "--region", HERE, "--region", "us-west-2"
        ).document
        assert (found["regions"], found["complete"], len(found["uses"])) == ([HERE], False, 1)
        assert "The region us-west-2 does not accept the credentials in use" in found["incomplete"][0]

    def test_without_regions_all_that_are_enabled_are_looked_at(self, leak: Leak) -> None:
        leak.aws.weather.disabled_regions = {"us-west-2"}
        found = twokey("trace", leak.unmanaged.access_key_id, "--json").document
        assert (found["complete"], HERE in found["regions"], THERE in found["regions"]) == (True, True, True)
        assert "us-west-2" not in found["regions"]

    def test_where_the_regions_cannot_be_listed_the_main_and_the_own_one_are_looked_at(self, leak: Leak) -> None:
        leak.aws.weather.add(Rule("account:*", effect="error_before", status=403, code="AccessDeniedException"))
        ran = twokey("trace", leak.unmanaged.access_key_id, "--json")
        assert (ran.code, ran.document["regions"]) == (1, [THERE, HERE])
        assert "account:ListRegions" in ran.document["incomplete"][0]

    def test_without_the_main_region_the_events_of_iam_are_said_to_be_missing(self, leak: Leak) -> None:
        found = twokey("trace", leak.unmanaged.access_key_id, "--json", "--region", HERE).document
        assert any("The events of IAM itself are in us-east-1" in note for note in found["notes"])

    def test_a_key_of_another_account_is_placed_there(self, leak: Leak) -> None:
        [theirs] = leak.aws.make_user("ci", keys=1, account=OTHER)
        found = trace(theirs, code=1)
        assert (found["account"], found["user"], found["uses"]) == (OTHER, None, [])
        assert "with credentials of that account" in found["incomplete"][0]
        assert found["conclusions"]["delete"] == f"Unknown: the key belongs to account {OTHER}."

    def test_the_account_comes_from_the_id_where_sts_does_not_say(self, leak: Leak) -> None:
        leak.aws.weather.add(Rule("sts:GetAccessKeyInfo", effect="error_before", status=403, code="AccessDenied"))
        found = trace(leak.unmanaged)
        assert (found["account"], found["user"]) == (leak.aws.account_id, "legacy")
        assert any("sts:GetAccessKeyInfo" in note for note in found["notes"])

    def test_an_old_key_whose_id_carries_another_number_is_one_of_this_account(
        self, leak: Leak, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ownership, "account_of", lambda _: OTHER)
        leak.aws.weather.add(
            Rule("sts:GetAccessKeyInfo", times=2, effect="error_before", status=403, code="AccessDenied")
        )
        assert trace(leak.unmanaged)["account"] == leak.aws.account_id
        nobody = replace(leak.current, access_key_id=f"{leak.current.access_key_id[:-2]}QA")
        assert trace(nobody, code=1)["account"] == OTHER

    def test_a_key_of_nobody_is_unknown(self, leak: Leak) -> None:
        nobody = replace(leak.current, access_key_id=f"{leak.current.access_key_id[:-2]}QA")
        found = trace(nobody)
        assert (found["user"], found["role"], found["may_delete"]) == (None, "unknown", "unknown")

    def test_a_store_that_cannot_be_read_leaves_the_role_unknown(self, leak: Leak) -> None:
        leak.aws.weather.add(
            Rule("secretsmanager:*", times=None, effect="error_before", status=400, code="AccessDeniedException")
        )
        found = trace(leak.last)
        assert (found["role"], found["may_delete"]) == ("unknown", "unknown")
        assert any("The role of the key is unknown" in note for note in found["notes"])

    def test_a_throttled_request_is_sent_again(self, leak: Leak) -> None:
        leak.aws.weather.add(Rule("cloudtrail:LookupEvents", times=3, effect="throttle"))
        leak.aws.weather.add(Rule("cloudtrail:LookupEvents", nth=4, times=2, effect="lost_response"))
        assert len(trace(leak.unmanaged)["uses"]) == 1


class TestALongSearch:
    def test_says_how_far_it_is(self, leak: Leak, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(following, "NOTICE_EVERY", 1)
        monkeypatch.setattr(following, "NOTICE_FROM", 1)
        err = twokey("trace", leak.current.access_key_id, "--json", "--region", HERE).err
        assert f"{HERE}: 1 events, back to " in err
        assert "Looking up 1 sessions in 1 regions: about 1 seconds." in err

    def test_follows_no_more_sessions_than_that_and_says_so(self, leak: Leak, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(following, "MOST_SESSIONS", 0)
        found = trace(leak.current, code=1)
        assert not any(one["followed"] for one in found["sessions"])
        assert "1 more sessions were not followed" in " ".join(found["incomplete"])

    def test_ends_soon_after_ctrl_c(self, leak: Leak, monkeypatch: pytest.MonkeyPatch) -> None:
        """A region that is interrupted ends the search, also in the others: they send no further request."""

        def interrupted(_text: str) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(following, "NOTICE_EVERY", 1)
        clients = Clients("run")
        search = following._Search(CloudTrail(clients), leak.aws.now(), [HERE, THERE], interrupted)
        with pytest.raises(KeyboardInterrupt):
            search.level([(leak.current.access_key_id, leak.aws.now() - timedelta(days=1))])
        assert search.stopped.is_set()


class TestTheOutput:
    def test_a_log_has_lines_without_what_a_terminal_obeys(self, leak: Leak) -> None:
        ran = twokey("trace", leak.current.access_key_id, "--region", HERE, "--region", THERE)
        assert ran.out.startswith(f"{leak.current.access_key_id}: CURRENT of ci in account 123456789012, Active")
        assert "May it be deleted? No: it is CURRENT of ci" in ran.out
        assert "user: iam:CreateUser backdoor at" in ran.out
        assert f"session: {leak.deploy.access_key_id} of arn:aws:iam::123456789012:role/deploy" in ran.out
        assert "\x1b" not in ran.out + ran.err
        assert "Not complete: The events of the session" in ran.err

    def test_nothing_of_a_session_is_shown_but_its_id(self, leak: Leak) -> None:
        ran = twokey("trace", leak.current.access_key_id, "--json", "--region", HERE, "--region", THERE)
        for session in (leak.deploy, leak.further, leak.theirs):
            assert str(session.session_token)[:40] not in ran.out + ran.err
            assert session.secret_access_key not in ran.out + ran.err

    def test_nothing_is_changed(self, leak: Leak) -> None:
        leak.aws.clear_requests()
        trace(leak.current, code=1)
        changes = {"Create", "Update", "Delete", "Put"}
        assert not [one.name for one in leak.aws.requests if any(one.operation.startswith(x) for x in changes)]

    def test_works_without_a_configuration(self, leak: Leak, tmp_path: Path) -> None:
        tmp_path.joinpath("twokey.yaml").unlink()
        ran = twokey("trace", leak.last.access_key_id, "--json", "--region", HERE)
        assert (ran.code, ran.document["role"], ran.document["may_delete"]) == (0, "unmanaged", "unknown")
        assert "does not know whether a store holds it" in ran.document["conclusions"]["delete"]
        assert "There is no ./twokey.yaml" in ran.err

    @pytest.mark.parametrize("secret", ["wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "akia", "AKIA 1"])
    def test_what_is_no_id_is_refused_and_not_shown(self, secret: str) -> None:
        ran = twokey("trace", secret)
        assert ran.code == 2
        assert secret not in ran.out + ran.err.replace("such as AKIA", "")

    def test_what_is_no_region_is_refused(self) -> None:
        ran = twokey("trace", "AKIAIOSFODNN7EXAMPLE", "--region", "../etc")
        assert (ran.code, "--region: expected the name of a region" in ran.err) == (2, True)

    def test_a_page_is_written_to_a_file_and_not_to_a_terminal(
        self, leak: Leak, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        arguments = ("trace", leak.current.access_key_id, "--region", THERE, "--format", "html")
        assert (twokey(*arguments, "-o", "trace.html").code, twokey(*arguments).out.count("<html")) == (0, 1)
        page = tmp_path.joinpath("trace.html").read_text(encoding="utf-8")
        assert "&lt;script&gt;" in page
        assert "<script" not in page
        monkeypatch.setattr(terminal, "is_interactive", lambda _: True)
        assert twokey(*arguments).code == 2

    @pytest.mark.parametrize("columns", [40, 80, 160])
    def test_a_terminal_shows_a_table_that_fits(
        self, leak: Leak, columns: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(terminal, "is_interactive", lambda _: True)
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("NO_COLOR", "1")
        out = twokey("trace", leak.current.access_key_id, "--region", HERE, "--region", THERE).out
        plain = re.sub("\x1b\\[[0-9;]*m", "", out)
        assert "\x1b" not in plain
        assert max(map(len, plain.splitlines())) <= columns
        assert "What may be left behind" in plain
        assert "sts:GetCallerIdentity" in plain.partition("\nUses\n")[2]  # whole: no name of an event is broken
