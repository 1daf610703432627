"""``twokey watch`` finds the leaked keys of the account, and says what it could not look at."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

import pytest

from alerts.inbox import Inbox
from support.commands import twokey
from support.github_alerts import partner, pem
from twokey.emulator import Rule
from twokey.testing.server import FakeService, ReceivedRequest, Reply, route

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.commands import Ran
    from support.rig import Rig
    from twokey.emulator import KeyPair

CONFIG = """
version: 1
github_webhook_secret: {env: HOOK_SECRET}
machine_users:
  - path: /machine-users/
    store: secretsmanager:machine-users/{user}
"""
QUARANTINE = "AWSCompromisedKeyQuarantineV3"
ELSEWHERE = "AKIAY34FZKBOKMUTVV7A"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOOK_SECRET", "of-the-webhook")
    tmp_path.joinpath("twokey.yaml").write_text(CONFIG)
    tmp_path.joinpath("code").mkdir()
    return tmp_path


def watch(*arguments: str) -> Ran:
    return twokey("watch", "--json", *arguments)


def found(ran: Ran) -> list[tuple[str, str, str]]:
    return [(one["id"], one["user"], one["severity"]) for one in ran.document["findings"]]


def env(pair: KeyPair, *, secret: bool = True) -> str:
    return f"KEY={pair.access_key_id}\nSECRET={pair.secret_access_key if secret else ''}\n"


def quarantine(rig: Rig, user: str) -> None:
    """Attach AWS's policy, as AWS does."""
    rig.aws.client("iam").attach_user_policy(UserName=user, PolicyArn=f"arn:aws:iam::aws:policy/{QUARANTINE}")


class TestAFile:
    def test_with_the_secret_of_a_key_of_the_account_is_a_finding_that_shows_no_secret(
        self, rig: Rig, folder: Path
    ) -> None:
        [pair] = rig.aws.make_user("ci", keys=1)
        folder.joinpath("code", "one.env").write_text(env(pair))
        folder.joinpath("code", "two.env").write_text(f"\n{env(pair)}")
        ran = watch("--scan", "code", "--fail-on", "critical")
        assert (ran.code, found(ran)) == (4, [("TK801", "ci", "critical")])
        [one] = ran.document["findings"]
        assert sorted((at["path"], at["line"]) for at in one["locations"]) == [("code/one.env", 1), ("code/two.env", 2)]
        assert one["leaked"]
        assert one["resource"] == "arn:aws:iam::123456789012:user/machine-users/ci"
        assert f"twokey revoke {pair.access_key_id}" in one["remedy"]
        texts = [ran, twokey("watch", "--scan", "code"), twokey("watch", "--scan", "code", "--format", "sarif")]
        assert not [text for text in texts if pair.secret_access_key in text.out + text.err]
        [result] = texts[2].document["runs"][0]["results"]
        assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].startswith("code/")

    def test_with_an_id_alone_or_an_inactive_key_is_less(self, rig: Rig, folder: Path) -> None:
        first, second = rig.aws.make_user("ci", keys=2)
        rig.aws.client("iam").update_access_key(UserName="ci", AccessKeyId=second.access_key_id, Status="Inactive")
        folder.joinpath("code", "a").write_text(env(first, secret=False))
        folder.joinpath("code", "b").write_text(env(second))
        ran = watch("--scan", "code", "--fail-on", "medium")
        assert (ran.code, sorted(found(ran))) == (0, [("TK801", "ci", "low"), ("TK802", "ci", "low")])
        assert not [one for one in ran.document["findings"] if one["leaked"]]

    def test_with_a_key_of_another_account_or_a_deleted_one_is_no_finding(self, rig: Rig, folder: Path) -> None:
        [gone, _] = rig.aws.make_user("ci", keys=2)
        rig.aws.client("iam").delete_access_key(UserName="ci", AccessKeyId=gone.access_key_id)
        rig.aws.clear_requests()
        folder.joinpath("code", "a").write_text(f"{ELSEWHERE} {'aB3' * 13}x\n" + "-" * 2000 + env(gone))
        ran = watch("--scan", "code")
        assert (ran.code, found(ran)) == (0, [])
        assert ran.document["other_accounts"] == {"609629065308": 1}
        assert (
            f"This account has no key {gone.access_key_id}: it was deleted, or belongs to another account."
            in ran.document["notes"]
        )
        assert "Keys of other accounts, which are no findings here: 609629065308 (1)." in ran.err

    def test_whose_key_may_not_be_looked_up_is_unknown_and_not_fine(self, rig: Rig, folder: Path) -> None:
        [pair] = rig.aws.make_user("ci", keys=1)
        folder.joinpath("code", "a").write_text(env(pair))
        rule = Rule("iam:GetAccessKeyLastUsed", times=None, effect="error_before", status=403, code="AccessDenied")
        rig.aws.weather.add(rule)
        ran = watch("--scan", "code")
        assert (ran.code, ran.document["complete"]) == (1, False)
        assert f"Not looked at: Whether {pair.access_key_id} is a key of this account is unknown" in ran.err

    def test_that_does_not_exist_is_a_mistake_before_aws_is_called(self, rig: Rig) -> None:
        ran = watch("--scan", "nowhere")
        assert ran.code == 2
        assert "--scan: there is no file or directory nowhere." in ran.err
        assert rig.aws.requests == []

    def test_with_a_temporary_key_and_its_secret_may_still_be_open(self, rig: Rig, folder: Path) -> None:
        rig.aws.make_user("ci", keys=1)
        folder.joinpath("code", "a").write_text(f"ASIARZPUZDIKDS4GJPMX {'aB3' * 13}x")
        ran = watch("--scan", "code")
        assert found(ran) == [("TK803", "", "medium")]


class TestAQuarantinedUser:
    def test_is_found_in_one_picture_of_the_account(self, rig: Rig) -> None:
        [pair] = rig.aws.make_user("ci", keys=1)
        rig.aws.make_user("other", keys=1)
        quarantine(rig, "ci")
        rig.aws.clear_requests()
        ran = watch("--fail-on", "critical")
        assert (ran.code, found(ran)) == (4, [("TK811", "ci", "critical")])
        [one] = ran.document["findings"]
        assert QUARANTINE in one["message"]
        assert (one["key_id"], one["leaked"]) == (pair.access_key_id, False)
        assert [request.operation for request in rig.aws.requests] == [
            "GetCallerIdentity",
            "GetAccountAuthorizationDetails",
            "ListAccessKeys",
        ]

    def test_with_two_active_keys_has_neither_named_as_the_leaked_one(self, rig: Rig) -> None:
        rig.aws.make_user("ci", keys=2)
        quarantine(rig, "ci")
        [one] = watch().document["findings"]
        assert (one["key_id"], one["leaked"]) == (None, False)
        assert "twokey revoke ci --both" in one["remedy"]

    def test_without_an_active_key_is_a_matter_for_aws_support(self, rig: Rig) -> None:
        rig.aws.make_user("ci", keys=0)
        quarantine(rig, "ci")
        assert found(watch()) == [("TK812", "ci", "low")]

    def test_is_unknown_where_the_account_may_not_be_read(self, rig: Rig) -> None:
        rule = Rule(
            "iam:GetAccountAuthorizationDetails", times=None, effect="error_before", status=403, code="AccessDenied"
        )
        rig.aws.weather.add(rule)
        ran = watch()
        assert (ran.code, ran.document["complete"]) == (1, False)
        assert "Which users AWS has put under quarantine is unknown" in ran.err


def signed(body: bytes) -> bytes:
    digest = hmac.new(b"of-the-webhook", body, hashlib.sha256).hexdigest()
    return f"X-Hub-Signature-256: sha256={digest}\n\n".encode() + body


def exposed(key_id: str) -> dict[str, Any]:
    detail = {"eventTypeCode": "AWS_RISK_CREDENTIALS_EXPOSED", "affectedEntities": [{"entityValue": key_id}]}
    return {"source": "aws.health", "detail-type": "AWS Health Event", "detail": detail}


class TestAnEvent:
    def test_of_aws_about_a_key_of_the_account_is_a_finding(self, rig: Rig, folder: Path) -> None:
        [pair] = rig.aws.make_user("ci", keys=1)
        folder.joinpath("e.json").write_text(json.dumps([exposed(pair.access_key_id), exposed(ELSEWHERE)]))
        ran = watch("--event", "e.json")
        assert found(ran) == [("TK821", "ci", "critical")]
        assert ran.document["other_accounts"] == {"609629065308": 1}

    def test_about_a_user_of_that_name_in_another_account_is_no_finding(self, rig: Rig, folder: Path) -> None:
        rig.aws.make_user("ci", keys=1)
        for account, expected in (("123456789012", [("TK821", "ci", "critical")]), ("609629065308", [])):
            folder.joinpath("e.json").write_text(json.dumps({**exposed("ci"), "account": account}))
            assert found(watch("--event", "e.json")) == expected

    def test_comes_also_from_stdin_once(self, rig: Rig, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        [pair] = rig.aws.make_user("ci", keys=1)
        folder.joinpath("e.json").write_text(json.dumps(exposed(pair.access_key_id)))
        with folder.joinpath("e.json").open() as stdin:
            monkeypatch.setattr("sys.stdin", stdin)
            assert found(watch("--event", "-")) == [("TK821", "ci", "critical")]
        ran = watch("--event", "-", "--event", "-")
        assert (ran.code, "stdin is named twice" in ran.err) == (2, True)

    def test_of_github_is_verified_with_the_configured_secret(self, rig: Rig, folder: Path) -> None:
        alert = {
            "secret_type": "aws_access_key_id",
            "html_url": "https://github.com/acme/site/security/secret-scanning/1",
        }
        folder.joinpath("good").write_bytes(signed(json.dumps({"action": "created", "alert": alert}).encode()))
        folder.joinpath("bad").write_bytes(folder.joinpath("good").read_bytes().replace(b"created", b"opened!"))
        ran = watch("--event", "good", "--event", "bad")
        assert (ran.code, found(ran)) == (1, [("TK832", "", "high")])
        assert "Not looked at: --event: bad is not believed" in ran.err
        folder.joinpath("twokey.yaml").write_text(CONFIG.replace("github_webhook_secret: {env: HOOK_SECRET}", ""))
        ran = watch("--event", "good")
        assert ran.code == 2
        assert "Set github_webhook_secret: {env: NAME} in twokey.yaml." in ran.err

    def test_that_is_none_is_a_mistake(self, rig: Rig, folder: Path) -> None:
        folder.joinpath("e").write_text("nonsense")
        assert (watch("--event", "e").code, watch("--event", "missing").code) == (2, 2)
        assert rig.aws.requests == []


class TestALeakedKeyThatIsToBeRevoked:
    @pytest.fixture
    def leaked(self, rig: Rig, folder: Path) -> str:
        """Return CURRENT of a user, which is in a file; a leaked key revokes."""
        folder.joinpath("twokey.yaml").write_text(f"{CONFIG}on_leak: revoke\n")
        rig.aws.make_user("ci", path="/machine-users/", keys=0)
        assert twokey("rotate", "ci").code == 0
        pair = rig.stored()
        assert pair
        folder.joinpath("code", "a").write_text(env(pair))
        return pair.access_key_id

    def test_is_inactive_and_replaced_once(self, rig: Rig, leaked: str) -> None:
        ran = watch("--scan", "code", "--fail-on", "critical")
        assert (ran.code, found(ran)) == (4, [("TK801", "ci", "critical")]), ran.err
        [one] = ran.document["revocations"]
        assert (one["outcome"], one["current"]) == ("revoked", rig.held())
        assert {key_id: status for key_id, status, _ in rig.aws.keys("ci")} == {
            leaked: "Inactive",
            rig.held(): "Active",
        }
        again = watch("--scan", "code", "--fail-on", "critical")
        assert (again.code, found(again), again.document["revocations"]) == (0, [("TK801", "ci", "low")], [])

    def test_is_told_at_the_terminal_and_its_failure_is_one_of_the_run(self, rig: Rig, leaked: str) -> None:
        rule = Rule("iam:CreateAccessKey", times=None, effect="error_before", status=403, code="AccessDenied")
        rig.aws.weather.add(rule)
        ran = twokey("watch", "--scan", "code", "--fail-on", "critical")
        assert ran.code == 1
        assert f"contained ci: {leaked} has been Inactive since at least" in ran.out

    def test_is_not_one_that_only_stands_near_the_secret_of_another(self, rig: Rig, folder: Path, leaked: str) -> None:
        [pair] = rig.aws.make_user("other", path="/machine-users/", keys=1)
        folder.joinpath("code", "a").write_text(f"# replaces {leaked}\n{env(pair)}")
        folder.joinpath("twokey.yaml").write_text(f"{CONFIG}    except: [other]\non_leak: revoke\n")
        ran = watch("--scan", "code")
        assert found(ran) == [("TK801", "other", "critical"), ("TK801", "ci", "high")]
        assert ran.document["revocations"] == []
        assert ("Active", leaked) in {(status, key_id) for key_id, status, _ in rig.aws.keys("ci")}

    def test_is_not_the_key_that_replaced_it_while_the_quarantine_stays(self, rig: Rig, leaked: str) -> None:
        quarantine(rig, "ci")
        assert watch("--scan", "code").document["revocations"]
        replacing = rig.held()
        ran = watch("--scan", "code")
        assert found(ran) == [("TK811", "ci", "critical"), ("TK801", "ci", "low")]
        assert ran.document["revocations"] == []
        assert ("Active", replacing) in {(status, key_id) for key_id, status, _ in rig.aws.keys("ci")}

    def test_of_a_user_outside_the_configuration_is_reported_only(self, rig: Rig, folder: Path, leaked: str) -> None:
        [pair] = rig.aws.make_user("other", path="/elsewhere/", keys=1)
        folder.joinpath("code", "a").write_text(env(pair))
        assert watch("--scan", "code").document["revocations"] == []
        assert [status for _, status, _ in rig.aws.keys("other")] == ["Active"]


class TestTheReceiversOfAlerts:
    @pytest.fixture
    def inbox(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
        with Inbox() as service:
            monkeypatch.setenv("SLACK_URL", service.secret_url)
            told = f"alerts: {{to: [{{webhook: {{url: '{service.url}/in'}}}}], remember: 'file:{folder}/told'}}\n"
            folder.joinpath("twokey.yaml").write_text(CONFIG + told)
            yield service

    def test_are_told_once_about_a_leaked_key(self, rig: Rig, folder: Path, inbox: Inbox) -> None:
        [pair] = rig.aws.make_user("ci", keys=1)
        folder.joinpath("code", "a").write_text(env(pair))
        for _ in range(2):
            assert watch("--scan", "code").code == 0
        [request] = inbox.received
        [alert] = request.json()["alerts"]
        assert (alert["kind"], alert["user"], alert["key_id"]) == ("leaked_key", "ci", pair.access_key_id)
        assert request.json()["subject"] == "twokey watch: 1 leaked key"
        assert f"twokey revoke {pair.access_key_id}" in alert["message"]

    def test_are_told_what_could_not_be_looked_at_and_nothing_where_all_is_well(self, rig: Rig, inbox: Inbox) -> None:
        assert watch().code == 0
        assert inbox.received == []
        rule = Rule("iam:GetAccountAuthorizationDetails", effect="error_before", status=403, code="AccessDenied")
        rig.aws.weather.add(rule)
        assert watch().code == 1
        assert [one["kind"] for request in inbox.received for one in request.json()["alerts"]] == ["run"]


class GitHubKeys(FakeService):
    """Publishes the public keys of secret scanning."""

    keys: list[dict[str, Any]] = []

    @route("GET", "/meta/public_keys/secret_scanning")
    def published(self, _request: ReceivedRequest) -> Reply:
        return Reply(200, {"public_keys": self.keys})


class TestThePublicKeys:
    def test_come_from_github_or_from_a_file(self, rig: Rig, folder: Path) -> None:
        [pair] = rig.aws.make_user("ci", keys=1)
        tokens = [{"token": pair.access_key_id, "type": "aws_access_key_id", "url": "https://github.com/acme/site"}]
        folder.joinpath("alert").write_bytes(partner(json.dumps(tokens).encode()))
        keys = [{"key_identifier": "k1", "key": pem(), "is_current": True}]
        with GitHubKeys() as github:
            github.keys = keys
            connection = f"connections: {{github: {{url: '{github.url}', token: {{env: HOOK_SECRET}}}}}}\n"
            folder.joinpath("twokey.yaml").write_text(CONFIG + connection)
            assert found(watch("--event", "alert")) == [("TK831", "ci", "critical")]
        folder.joinpath("keys.json").write_text(json.dumps({"public_keys": keys}))
        assert found(watch("--event", "alert", "--github-keys", "keys.json")) == [("TK831", "ci", "critical")]
        folder.joinpath("keys.json").write_text("[]")
        assert watch("--event", "alert", "--github-keys", "keys.json").code == 2
