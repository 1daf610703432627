"""A fleet that the state machine rotates: moto's Step Functions, the handler in this process, the strict emulator."""

from __future__ import annotations

import json
import random
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from support.commands import twokey
from support.fleets import HOME, ROLE, Fleet
from support.rig import Killed, dead_processes_release_their_lease
from support.step_functions import FunctionDied, StepFunctions
from twokey.emulator.weather import Rule
from twokey.rotation import rotate
from twokey.serverless.handler import handle

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from twokey.emulator import Emulator

BUCKET = "twokey-executions"
DEFINITION = Path(__file__).parents[2] / "deploy/state-machine/rotation.asl.json"
ORGANIZATION = "{organizations: {role: TwokeyMember}}"


def definition(concurrency: int = 4, tolerated: int = 100) -> str:
    """Return the state machine as Terraform fills it in."""
    text = DEFINITION.read_text(encoding="utf-8")
    values = {
        "bucket": BUCKET,
        "concurrency": str(concurrency),
        "function_arn": f"arn:aws:lambda:eu-central-1:{HOME}:function:twokey",
        # moto reads no whole number here.
        "tolerated_failures": f"{tolerated}.0",
    }
    for name, value in values.items():
        text = text.replace(f"${{{name}}}", value)
    return text


class Invocation:
    """The context of an invocation that has this many seconds left, or as many as ``seconds`` returns at each look."""

    def __init__(self, seconds: float | Callable[[], float] = 900.0) -> None:
        self._seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds that are left."""
        seconds = self._seconds() if callable(self._seconds) else self._seconds
        return int(seconds * 1000)


class DyingInvocation(Invocation):
    """An invocation that Lambda kills when the function looks at the time for the n-th time: nothing is given back."""

    def __init__(self, nth: int) -> None:
        super().__init__()
        self._left, self._lock = nth, threading.Lock()

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds that are left, or die."""
        with self._lock:
            self._left -= 1
            if self._left <= 0:
                raise Killed
        return super().get_remaining_time_in_millis()


class SharedPatch:
    """A patch that is in place from the beginning of the first of several threads' blocks to the end of the last.

    If each thread patched for itself, the one that ends last could put back the patch of another, for good.
    """

    def __init__(self, patch: Callable[[], AbstractContextManager[object]]) -> None:
        self._patch, self._blocks, self._lock = patch, 0, threading.Lock()
        self._in_place = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if not self._blocks:
                self._in_place.enter_context(self._patch())
            self._blocks += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._blocks -= 1
            if not self._blocks:
                self._in_place.close()


GIVES_NOTHING_BACK = SharedPatch(lambda: mock.patch.object(rotate, "_give_back"))
PROCESS_IS_GONE = SharedPatch(dead_processes_release_their_lease)


class Engine(Fleet):
    """A fleet, its configuration in the function's environment, and the state machine that rotates it."""

    def __init__(self, aws: Emulator, folder: Path, set_variable: Callable[[str, str], None]) -> None:
        super().__init__(aws, folder)
        self._set_variable = set_variable
        set_variable("AWS_LAMBDA_FUNCTION_NAME", "twokey")
        self.s3 = aws.client("s3", aws.admin_of(HOME))
        self.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        self.invocation: Callable[[Any], Invocation] = lambda _event: Invocation()
        self.machine = StepFunctions(definition(), self.call, self.s3)
        self.configure(ORGANIZATION)

    def configure(self, accounts: str, *args: str, settle: str = "0s", **more: str) -> None:
        """Set the configuration of the function."""
        super().configure(accounts, *args, **more)
        text = self._file.read_text(encoding="utf-8")
        self._set_variable("TWOKEY_CONFIG", text.replace("settle: 0s\n", f"settle: {settle}\n"))

    def as_printed(self, account: str) -> None:
        """Give twokey's role in an account the policy that ``twokey policy`` prints for it, and nothing else."""
        printed = twokey("policy", "rotator", "--member", "--config", str(self._file), "--account", account).out
        iam = self.aws.client("iam", self.aws.admin_of(account))
        iam.put_role_policy(RoleName=ROLE, PolicyName="all", PolicyDocument=printed)

    def call(self, event: Any) -> Any:
        """Call the function as Lambda does; one that dies holds its leases, as a process that is gone."""
        invocation = self.invocation(event)
        if not isinstance(invocation, DyingInvocation):
            return handle(event, invocation)
        with GIVES_NOTHING_BACK, PROCESS_IS_GONE:
            try:
                return handle(event, invocation)
            except Killed:
                raise FunctionDied from None

    def listed(self, execution: str, **fields: Any) -> Any:
        """Call ``list``."""
        return self.call({"do": "list", "bucket": BUCKET, "execution": execution, "input": fields})

    def rotated(self, execution: str, account: str, count: int = 200, first: int = 0) -> Any:
        """Call ``rotate`` for a chunk."""
        chunk = {"account": account, "first": first, "count": count, "force": False}
        return self.call({"do": "rotate", "bucket": BUCKET, "execution": execution, **chunk})

    def summarised(self, execution: str, *, whole: bool = True) -> Any:
        """Call ``summarise``."""
        return self.call({"do": "summarise", "bucket": BUCKET, "execution": execution, "whole": whole})

    def put(self, key: str, value: Any) -> str:
        """Write an object, and return its URL."""
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(value).encode())
        return f"s3://{BUCKET}/{key}"

    def object(self, key: str) -> Any:
        """Return the content of an object."""
        return json.loads(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())

    def document(self, execution: str) -> Any:
        """Return the result document of an execution."""
        return self.object(f"executions/{execution}/result.json")

    def outcomes(self, execution: str) -> dict[tuple[str, str], str]:
        """Return each user's outcome in the result document."""
        return {(one["account"], one["user"]): one["outcome"] for one in self.document(execution)["results"]}

    def calls(self, what: str) -> list[Any]:
        """Return the events that the state machine has sent."""
        return [event for event in self.machine.invocations if event["do"] == what]


def url_of(execution: str) -> str:
    """Return the URL of an execution's result document."""
    return f"s3://{BUCKET}/executions/{execution}/result.json"


Fleets = dict[tuple[str, str], str]


def a_fleet(engine: Engine, accounts: int, users: int) -> Fleets:
    """Make the accounts; return the id of CURRENT of each user."""
    engine.configure(ORGANIZATION, more=f"max_users: {accounts * users}\n")
    before = {}
    for number in range(accounts):
        account = f"{number + 1:012}"
        engine.account(account, f"account-{number}")
        for user in (f"user-{at}" for at in range(users)):
            _, current = engine.user(account, user)
            before[account, user] = current.access_key_id
    return before


def disturb(engine: Engine, probability: float, killed: float, after: str = "lost_response") -> None:
    """Let each call fail with this probability, before or after its effect, and functions be killed at any step."""
    chance = random.Random(7)
    for effect in ("error_before", after):
        engine.aws.weather.add(Rule("*", times=None, probability=probability / 2, effect=effect))

    def invocation(event: Any) -> Invocation:
        if event["do"] == "rotate" and chance.random() < killed:
            return DyingInvocation(chance.randrange(1, 100))
        return Invocation()

    engine.invocation = invocation


def calm(engine: Engine) -> None:
    """End all faults."""
    engine.aws.weather.clear()
    engine.invocation = lambda _event: Invocation()


def check(engine: Engine, before: Fleets, execution: str, *, repaired: bool = False) -> int:
    """Check that each user is rotated or named, and that no key in use is lost; return how many did not end well.

    What was CURRENT still works, for jobs in flight, and so does what the store holds. A deleted key never comes back,
    so none of them was deleted in between either. With ``repaired``, a later execution has taken up the others.
    """
    outcomes = engine.outcomes(execution)
    assert set(before) <= set(outcomes)
    for (account, user), current in before.items():
        held = engine.held(account, f"machine-users/{user}")
        keys = {key: status for key, status, _ in engine.aws.keys(user, account)}
        assert keys[current] == keys[held] == "Active"
        if repaired or outcomes[account, user] not in ("failed", "refused"):
            assert set(keys) == {current, held}, f"{account}/{user} has an orphaned key"
            assert held != current, f"{account}/{user} was not rotated"
    return sum(outcome in ("failed", "refused") for outcome in outcomes.values())
