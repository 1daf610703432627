"""The state machine on moto's Step Functions: what it retries, what it goes on after, and how an execution ends."""

from __future__ import annotations

from typing import Any

import pytest

from support.engines import (
    DyingInvocation,
    Engine,
    Invocation,
    a_fleet,
    calm,
    check,
    definition,
    disturb,
    url_of,
)
from support.fleets import ONE, OTHER
from support.step_functions import StepFunctions

pytest.importorskip("antlr4", reason="moto's Step Functions need antlr4-python3-runtime")


def test_rotates_every_account_and_ends_well(engine: Engine) -> None:
    engine.account(ONE, "one", "ci", "web")
    engine.account(OTHER, "other", "ci")
    ended = engine.machine.run("nightly")
    assert (ended.status, ended.output["ended_well"]) == ("SUCCEEDED", True), ended
    assert set(engine.outcomes("nightly").values()) == {"rotated"}
    assert engine.held(ONE) == engine.ids(ONE)[-1] != engine.held(OTHER)


def test_a_user_that_is_refused_fails_the_execution_is_not_retried_and_alone_is_resumed(engine: Engine) -> None:
    engine.account(ONE, "one", "ci", "web")
    engine.account(OTHER, "other", "ci")
    engine.user(ONE, "odd", store=None)
    ended = engine.machine.run("nightly")
    assert (ended.status, ended.error) == ("FAILED", "UsersFailed")
    assert '{"resume": "s3://twokey-executions/executions/nightly/result.json"}' in ended.cause
    assert engine.outcomes("nightly")[ONE, "odd"] == "refused"
    assert len(engine.calls("rotate")) == 2, "a refused user is refused again, so no retry"
    engine.machine.run("again", {"resume": url_of("nightly")})
    assert engine.outcomes("again") == {(ONE, "odd"): "refused"}


def test_a_function_that_is_killed_is_called_again_and_goes_on(engine: Engine) -> None:
    engine.account(ONE, "one", "ci", "web")
    lives = iter([DyingInvocation(6)])
    engine.invocation = lambda event: next(lives, Invocation()) if event["do"] == "rotate" else Invocation()
    assert engine.machine.run("nightly").status == "SUCCEEDED"
    assert len(engine.calls("rotate")) == 2
    for user in ("ci", "web"):
        assert engine.held(ONE, f"machine-users/{user}") == engine.ids(ONE, user)[-1]


def test_the_users_of_a_function_that_is_killed_each_time_are_named(engine: Engine) -> None:
    engine.account(ONE, "one", "ci")
    engine.account(OTHER, "other", "ci")
    engine.invocation = lambda event: DyingInvocation(1) if event.get("account") == ONE else Invocation()
    assert engine.machine.run("nightly").status == "FAILED"
    (one,) = [one for one in engine.document("nightly")["results"] if one["outcome"] == "failed"]
    assert (one["account"], one["user"], one["reason"]) == (ONE, "ci", "stopped")
    assert "Runtime.ExitError" in one["message"]
    assert engine.outcomes("nightly")[OTHER, "ci"] == "rotated"


def test_what_the_deadline_leaves_is_called_again_until_it_is_done(engine: Engine) -> None:
    engine.account(ONE, "one", "a", "b", "c")
    engine.configure("{organizations: {role: TwokeyMember}}", more="concurrency: 1\n")
    times = {"left": 0}

    def left() -> float:
        times["left"] -= 1
        return 900.0 if times["left"] >= 0 else 200.0

    def invocation(event: Any) -> Invocation:
        times["left"] = 6
        return Invocation(left) if event["do"] == "rotate" else Invocation()

    engine.invocation = invocation
    assert engine.machine.run("nightly").status == "SUCCEEDED"
    assert len(engine.calls("rotate")) > 1
    assert set(engine.outcomes("nightly").values()) == {"rotated"}


def test_once_too_many_accounts_failed_no_further_one_is_begun_and_its_users_are_named(engine: Engine) -> None:
    accounts = [f"{number:012}" for number in range(1, 5)]
    for account in accounts:
        engine.account(account, f"a{account[-1]}", "ci")
    for account in accounts[:2]:
        engine.secrets(account).delete_secret(SecretId="machine-users/ci", ForceDeleteWithoutRecovery=True)
    engine.machine = StepFunctions(definition(concurrency=1, tolerated=40), engine.call, engine.s3)
    ended = engine.machine.run("nightly")
    assert ended.status == "FAILED"
    found = {one["account"]: (one["outcome"], one["reason"]) for one in engine.document("nightly")["results"]}
    assert [found[account][0] for account in accounts] == ["refused", "refused", "failed", "failed"]
    assert {found[account][1] for account in accounts[2:]} == {"stopped"}
    assert {event["account"] for event in engine.calls("rotate")} == set(accounts[:2])


def test_an_execution_ends_with_the_error_of_its_configuration(engine: Engine) -> None:
    engine.account(ONE, "one", "ci")
    engine.configure("{organizations: {role: TwokeyMember, ou: [ou-ab12-99999999]}}")
    ended = engine.machine.run("nightly")
    assert (ended.status, ended.error) == ("FAILED", "NotFound")
    assert "has no organizational unit ou-ab12-99999999" in ended.cause
    assert len(engine.calls("list")) == 1


def test_everything_is_rotated_or_named_and_no_key_in_use_is_lost_while_calls_fail_and_functions_die(
    engine: Engine,
) -> None:
    """The same at full size is the benchmark ``fleet-engine``."""
    before = a_fleet(engine, accounts=20, users=4)
    disturb(engine, probability=0.02, killed=0.2)
    engine.machine.run("disturbed")
    calm(engine)
    problems = check(engine, before, "disturbed")
    assert engine.machine.run("calm", {"resume": url_of("disturbed")}).status == "SUCCEEDED"
    assert len(engine.document("calm")["results"]) == problems
    check(engine, before, "disturbed", repaired=True)
