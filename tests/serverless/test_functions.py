"""What each of the functions does with its event, without a state machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from support.engines import BUCKET, ORGANIZATION, Engine, Invocation
from support.fleets import HOME, MACHINE_USERS, ONE, OTHER
from twokey.core.errors import Failed, UsageError
from twokey.emulator.weather import Rule
from twokey.serverless.handler import handle

SCHEMAS = Path(__file__).parents[2] / "src/twokey/schemas"
TOPIC = f"arn:aws:sns:eu-central-1:{HOME}:alerts"


def an_invocation_that_ends_soon(engine: Engine) -> Invocation:
    """Return one in which a user can be begun, and then none may wait any more."""
    engine.aws.clear_requests()
    return Invocation(lambda: 60.0 if engine.aws.count("iam:ListAccessKeys") else 900.0)


class TestEvents:
    @pytest.mark.parametrize(
        ("event", "message"),
        [
            ({"do": "list", "bucket": BUCKET, "execution": "e", "usres": []}, "unknown field `usres`"),
            ({"do": "delete", "bucket": BUCKET, "execution": "e"}, "Invalid value 'delete'"),
            ({"bucket": BUCKET, "execution": "e"}, "missing required field `do`"),
            ({"do": "summarise", "bucket": BUCKET, "execution": "a/b", "whole": True}, r"\$\.execution"),
        ],
    )
    def test_what_does_not_fit_is_refused_by_its_name(self, event: Any, message: str) -> None:
        with pytest.raises(UsageError, match=message):
            handle(event, Invocation())

    def test_an_unknown_field_of_the_input_is_refused(self, engine: Engine) -> None:
        with pytest.raises(UsageError, match=r"The input of the execution: .*`acounts`"):
            engine.listed("e", acounts=[ONE])

    def test_an_input_that_is_too_large_is_refused_and_told_where_else_to_go(self) -> None:
        large = {"users": ["u" * 60] * 5000}
        with pytest.raises(UsageError, match=r"allows 262144\. .*\"input\": \"s3://BUCKET/KEY\""):
            handle({"do": "list", "bucket": BUCKET, "execution": "e", "input": large}, Invocation())

    def test_an_input_in_s3_may_be_larger(self, engine: Engine) -> None:
        engine.account(ONE, "one", "ci", "web")
        url = engine.put("input.json", {"users": ["ci"], "accounts": ["one"]})
        assert engine.listed("e", input=url)["users"] == 1
        assert engine.object(f"executions/e/users/{ONE}.json")["users"] == ["ci"]

    def test_an_input_in_s3_stands_alone_and_names_no_further_one(self, engine: Engine) -> None:
        with pytest.raises(UsageError, match="`input` stands alone"):
            engine.listed("e", input="s3://bucket/key", force=True)
        with pytest.raises(UsageError, match="may not name a further object"):
            engine.listed("e", input=engine.put("input.json", {"input": "s3://bucket/key"}))


class TestConfiguration:
    @pytest.mark.parametrize("where", ["s3", "ssm"])
    def test_may_be_in_s3_or_in_parameter_store(
        self, engine: Engine, where: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        engine.account(ONE, "one", "ci")
        text = engine._file.read_text()
        if where == "s3":
            engine.s3.put_object(Bucket=BUCKET, Key="twokey.yaml", Body=text.encode())
        else:
            engine.aws.client("ssm").put_parameter(Name="/twokey/config", Value=text, Type="SecureString")
        monkeypatch.setenv("TWOKEY_CONFIG", {"s3": f"s3://{BUCKET}/twokey.yaml", "ssm": "ssm:/twokey/config"}[where])
        assert engine.listed("e")["users"] == 1

    def test_must_be_named(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("TWOKEY_CONFIG")
        with pytest.raises(UsageError, match="TWOKEY_CONFIG is not set"):
            engine.listed("e")

    @pytest.mark.parametrize(
        ("more", "message"),
        [
            ("audit_log: audit.jsonl\n", "keeps no file, so no audit log"),
            ("stop_after: {failed: 5}\n", "no `waves` and no `stop_after`"),
            ("waves: [{accounts: [canary]}, {percent: 100}]\n", "no `waves` and no `stop_after`"),
        ],
    )
    def test_has_nothing_that_a_function_would_ignore(self, engine: Engine, more: str, message: str) -> None:
        engine.configure(ORGANIZATION, more=more)
        with pytest.raises(UsageError, match=message):
            engine.listed("e")


class TestListing:
    def test_writes_chunks_of_each_account(self, engine: Engine) -> None:
        engine.account(ONE, "one", "a", "b", "c")
        engine.account(OTHER, "other", "a")
        assert engine.listed("e", users_per_chunk=2) == {
            "items": "executions/e/items.json",
            "accounts": 2,
            "users": 4,
            "whole": True,
        }
        items = {one["account"]: one["chunks"] for one in engine.object("executions/e/items.json")}
        assert items[ONE] == [{"first": 0, "count": 2}, {"first": 2, "count": 1}]

    def test_an_account_that_cannot_be_reached_is_in_the_document_and_stops_no_other(self, engine: Engine) -> None:
        engine.account(ONE, "one", "ci")
        engine.account(OTHER, "other", "ci", role=False)
        engine.listed("e")
        engine.rotated("e", ONE)
        assert not engine.summarised("e")["ended_well"]
        assert engine.outcomes("e") == {(ONE, "ci"): "rotated", (OTHER, ""): "failed"}

    def test_more_users_than_the_limit_are_refused_before_any_is_rotated(self, engine: Engine) -> None:
        engine.account(ONE, "one", "a", "b")
        engine.configure(ORGANIZATION, more="max_users: 1\n")
        assert engine.listed("e")["users"] == 0
        assert engine.summarised("e")["summary"]["refused"] == 2

    def test_named_users_need_no_permission_but_those_that_twokey_policy_prints(self, engine: Engine) -> None:
        engine.account(ONE, "one", "ci", "web")
        engine.as_printed(ONE)
        assert engine.listed("e", users=["CI", "nobody"])["users"] == 1
        assert engine.object(f"executions/e/users/{ONE}.json")["users"] == ["ci"]
        (one,) = engine.object("executions/e/listing.json")["results"]
        assert (one["user"], one["message"].partition(".")[0]) == (
            "nobody",
            "No entry of the configuration covers the user nobody",
        )

    def test_a_resume_takes_up_an_account_that_was_not_reached(self, engine: Engine) -> None:
        engine.account(ONE, "one", "ci")
        engine.account(OTHER, "other", "ci", "web", role=False)
        engine.listed("e")
        engine.rotated("e", ONE)
        url = engine.summarised("e")["result"]
        engine.role(OTHER)
        assert engine.listed("again", resume=url) == {
            "items": "executions/again/items.json",
            "accounts": 1,
            "users": 2,
            "whole": False,
        }

    def test_a_resume_of_what_ended_well_runs_no_user(self, engine: Engine) -> None:
        engine.account(ONE, "one", "ci")
        url = engine.put("result.json", {"results": [{"account": ONE, "user": "ci", "outcome": "rotated"}]})
        assert engine.listed("again", resume=url)["users"] == 0
        assert engine.summarised("again")["ended_well"]


class TestChunks:
    def test_returns_how_many_users_ended(self, engine: Engine) -> None:
        engine.account(ONE, "one", "ci", "web")
        engine.listed("e")
        assert engine.rotated("e", ONE) == {"ended": 2, "problems": 0, "left": 0, "progress": "done"}

    def test_asks_organizations_for_nothing_that_the_listing_knows(self, engine: Engine) -> None:
        engine.account(ONE, "one", "ci")
        engine.listed("e")
        engine.aws.clear_requests()
        engine.rotated("e", ONE)
        assert engine.aws.count("organizations:*") == 0
        assert engine.held(ONE) == engine.ids(ONE)[-1]

    def test_needs_no_permission_but_those_that_twokey_policy_prints(self, engine: Engine) -> None:
        engine.account(ONE, "one", "ci", "web")
        engine.as_printed(ONE)
        engine.listed("e")
        engine.aws.clear_requests()
        assert engine.rotated("e", ONE) == {"ended": 2, "problems": 0, "left": 0, "progress": "done"}
        assert (engine.aws.count("iam:ListUsers"), engine.aws.count("iam:GetUser")) == (1, 0)

    def test_reads_by_name_those_that_the_configuration_names_and_no_other(self, engine: Engine) -> None:
        engine.account(ONE, "one", "ci", "web")
        named = "machine_users: [{users: [CI, web], store: 'secretsmanager:machine-users/{user}'}]\n"
        engine.configure(ORGANIZATION, named)
        engine.listed("e")
        engine.aws.clear_requests()
        assert engine.rotated("e", ONE, count=1)["ended"] == 1
        assert engine.aws.count("iam:GetUser") == 1

    def test_a_path_that_cannot_be_listed_is_the_reason_of_each_of_its_users(self, engine: Engine) -> None:
        engine.account(ONE, "one", "ci", "web")
        other = "  - {path: /other/, store: 'secretsmanager:other/{user}'}\n"
        engine.configure(ORGANIZATION, f"{MACHINE_USERS}{other}")
        engine.listed("e")
        engine.aws.weather.add(Rule("iam:ListUsers", times=None, effect="error_before", status=400, code="S"))
        assert engine.rotated("e", ONE)["problems"] == 2
        assert engine.summarised("e")["summary"]["failed"] == 2

    def test_a_second_call_runs_no_user_that_has_ended(self, engine: Engine) -> None:
        engine.account(ONE, "one", "ci")
        engine.listed("e")
        engine.rotated("e", ONE)
        engine.aws.clear_requests()
        assert engine.rotated("e", ONE)["ended"] == 1
        assert engine.aws.count("iam:*") == 0

    def test_begins_no_user_that_the_time_does_not_suffice_for(self, engine: Engine) -> None:
        engine.account(ONE, "one", "ci")
        engine.listed("e")
        looks = iter([900.0])
        engine.invocation = lambda _: Invocation(lambda: next(looks, 239.0))
        assert engine.rotated("e", ONE) == {"ended": 0, "problems": 0, "left": 1, "progress": "none"}
        assert len(engine.ids(ONE)) == 2

    def test_a_function_whose_timeout_is_too_short_says_so(self, engine: Engine) -> None:
        engine.account(ONE, "one", "ci")
        engine.listed("e")
        engine.invocation = lambda _: Invocation(120)
        with pytest.raises(UsageError, match="Set the function's timeout to 900 seconds; 300 are the least"):
            engine.rotated("e", ONE)

    def test_gives_every_lease_back_before_the_time_is_up(self, engine: Engine) -> None:
        engine.account(ONE, "one", "ci")
        engine.listed("e")
        rule = engine.aws.weather.add(Rule("iam:CreateAccessKey", times=None, effect="lost_response"))
        assert engine.rotated("e", ONE)["problems"] == 1, "whether a key was created is not known"
        engine.aws.weather.remove(rule)
        engine.listed("again")
        engine.configure(ORGANIZATION, settle="1h")
        engine.invocation = lambda _: an_invocation_that_ends_soon(engine)
        assert engine.rotated("again", ONE)["left"] == 1, "it waits for IAM's list, under its lease"
        engine.configure(ORGANIZATION)
        engine.invocation = lambda _: an_invocation_that_ends_soon(engine)
        assert engine.rotated("again", ONE) == {"ended": 1, "problems": 0, "left": 0, "progress": "done"}

    def test_deletes_a_key_that_the_time_does_not_suffice_to_prove_and_gives_the_lease_back(
        self, engine: Engine
    ) -> None:
        engine.account(ONE, "one", "ci")
        engine.listed("e")
        engine.aws.weather.propagation = 3600.0
        engine.aws.clear_requests()
        proving = Invocation(lambda: 60.0 if engine.aws.count("iam:CreateAccessKey") else 900.0)
        engine.invocation = lambda _: proving
        held = engine.held(ONE)
        assert engine.rotated("e", ONE) == {"ended": 0, "problems": 0, "left": 1, "progress": "none"}
        assert engine.ids(ONE) == [held]
        engine.aws.weather.propagation = 0.0
        engine.invocation = lambda _: Invocation()
        assert engine.rotated("e", ONE) == {"ended": 1, "problems": 0, "left": 0, "progress": "done"}
        assert engine.aws.count("iam:CreateAccessKey") == 2
        engine.summarised("e")
        assert engine.outcomes("e") == {(ONE, "ci"): "rotated"}

    def test_what_keeps_it_from_all_users_is_the_result_of_each(self, engine: Engine) -> None:
        engine.account(ONE, "one", "ci", "web")
        engine.listed("e")
        iam = engine.aws.client("iam", engine.aws.admin_of(ONE))
        statement = {"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"}
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        iam.update_assume_role_policy(RoleName="TwokeyMember", PolicyDocument=json.dumps(policy))
        assert engine.rotated("e", ONE)["problems"] == 2
        engine.summarised("e")
        assert engine.outcomes("e") == {(ONE, "ci"): "failed", (ONE, "web"): "failed"}

    def test_an_unforeseen_error_shows_its_type_alone(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(_event: object) -> Invocation:
            return Invocation(lambda: int("wJalrXUtnFEMI/secret"))

        engine.account(ONE, "one", "ci")
        engine.listed("e")
        engine.invocation = fail
        with pytest.raises(
            Failed, match=r"A defect in twokey \(ValueError at .*engines\.py|test_functions\.py\)"
        ) as found:
            engine.rotated("e", ONE)
        assert "wJalr" not in str(found.value)
        assert found.value.__cause__ is None
        assert found.value.__context__ is None


class TestSummary:
    def test_writes_the_document_of_rotate(self, engine: Engine) -> None:
        engine.account(ONE, "one", "ci")
        engine.listed("e")
        engine.rotated("e", ONE)
        engine.summarised("e")
        schema = json.loads((SCHEMAS / "rotate.schema.json").read_text())
        jsonschema.validate(engine.document("e"), schema)

    def test_names_the_users_that_no_function_has_reported_about(self, engine: Engine) -> None:
        engine.account(ONE, "one", "a", "b")
        engine.listed("e", users_per_chunk=1)
        engine.rotated("e", ONE, count=1)
        found = engine.summarised("e")
        assert found["message"].startswith("1 of 2 users failed or were refused. s3://twokey-executions/")
        (one,) = [one for one in engine.document("e")["results"] if one["user"] == "b"]
        assert one["message"].startswith("No function has reported about this user. Its turn did not come")

    def test_has_the_warnings_of_the_listing_also_where_users_failed(self, engine: Engine) -> None:
        other = "  - {path: /nobody/, store: 'secretsmanager:other/{user}'}\n"
        engine.configure(ORGANIZATION, f"{MACHINE_USERS}{other}")
        engine.account(ONE, "one", "ci")
        engine.listed("e")
        found = engine.summarised("e")
        (warning,) = found["warnings"]
        assert "there is no IAM user below /nobody/." in warning
        assert found["message"].endswith(f" Warning: {warning}")
        assert not found["ended_well"]

    def test_tells_the_receivers_once_about_all_accounts(self, engine: Engine) -> None:
        sns, sqs = engine.aws.client("sns"), engine.aws.client("sqs")
        sns.create_topic(Name="alerts")
        queue = sqs.create_queue(QueueName="alerts")["QueueUrl"]
        sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=f"arn:aws:sqs:eu-central-1:{HOME}:alerts")
        engine.configure(ORGANIZATION, more=f"alerts: {{to: [{{sns: '{TOPIC}'}}]}}\n")
        engine.account(ONE, "one", "ci")
        engine.account(OTHER, "other", "ci", role=False)
        engine.listed("e")
        engine.rotated("e", ONE)
        assert engine.summarised("e")["warnings"] == []
        (message,) = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
        assert json.loads(message["Body"])["Subject"] == "twokey rotate: 1 failed, 1 rotated"
