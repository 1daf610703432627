"""Every way in which a rotation can end, set up on the emulator: at least one case for each reason."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from unittest import mock

import msgspec

from support.rig import DAY
from twokey.core.reasons import Reason
from twokey.emulator import KeyPair, Rule
from twokey.rotation import lease

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from support.rig import Rig

STORE = "secretsmanager:machine-users/{user}"
PATH = ("--path", "machine-users", "--store", STORE)
SSM = "ssm:/copies/{user}"
QUICK = "verify: {successes: 2, interval: 0s, timeout: 30s}"
"""Keys work at once here; the timeout is for a busy machine."""
IN_VAIN = QUICK.replace("30s", "1s")
"""For a key that never works."""
WRITE = "secretsmanager:PutSecretValue"
JOURNAL = "TWOKEY_JOURNAL"


OF_THE_STAGE = "the stage"
"""The name of a thread whose requests are none of the command's: what it logs is not looked at."""
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@dataclass
class Stage:
    """What a case may use for its preparation."""

    rig: Rig
    folder: Path
    patch: pytest.MonkeyPatch
    verify: str = QUICK

    def filed(self, options: tuple[str, ...]) -> tuple[str, ...]:
        """Move the options into a configuration file with a quick verification."""
        if options[: len(PATH)] != PATH:
            return options
        rest = list(options[len(PATH) :])
        values: dict[str, tuple[str, ...]] = {"--to": (), "--soak": ()}
        for name in values:
            if name in rest:
                at = rest.index(name)
                values[name] = (rest[at + 1],)
                del rest[at : at + 2]
        return (*self.configured(*(f"soak: {length}" for length in values["--soak"]), deliver=values["--to"]), *rest)

    def configured(self, *lines: str, deliver: tuple[str, ...] = (), store: str = STORE) -> tuple[str, ...]:
        """Write a configuration file; return the options that name it."""
        file = self.folder / "twokey.yaml"
        entry = f"machine_users:\n  - path: /machine-users/\n    store: {store}\n    deliver: {json.dumps(deliver)}\n"
        file.write_text("\n".join(["version: 1", "settle: 0s", self.verify, *lines, entry]))
        return ("--config", str(file))

    def struck(
        self, operation: str, effect: str = "error_before", *, deliver: tuple[str, ...] = (), **rule: Any
    ) -> tuple[str, ...]:
        """Create a user that is due, and a fault."""
        self.rig.settled()
        self.rig.aws.weather.add(Rule(operation, effect=effect, **rule))
        return self.configured(deliver=deliver)

    def act_in_a_session(self) -> str:
        """Let twokey run with the temporary credentials of a role; return their session token."""
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": self.rig.aws.account_id}}
        iam = self.rig.aws.client("iam")
        role = iam.create_role(RoleName="rotator", AssumeRolePolicyDocument=_policy(trust))["Role"]
        iam.put_role_policy(RoleName="rotator", PolicyName="all", PolicyDocument=_policy(EVERYTHING))
        session = self.rig.aws.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="run")["Credentials"]
        self.act_as(KeyPair(session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"]))
        return str(session["SessionToken"])

    def act_as(self, pair: KeyPair) -> None:
        """Let twokey run with this key."""
        for name, value in self.rig.aws.environment(pair).items():
            self.patch.setenv(name, value)


@dataclass(frozen=True)
class Case:
    """``prepare`` prepares the stage and returns the options of the command."""

    outcome: str
    reason: Reason
    prepare: Callable[[Stage], tuple[str, ...]]
    name: str = ""
    command: str = "rotate"

    def __str__(self) -> str:
        return "-".join(filter(None, (self.outcome, self.reason, self.name)))


def settled(*options: str) -> Callable[[Stage], tuple[str, ...]]:
    def prepare(stage: Stage) -> tuple[str, ...]:
        stage.rig.settled()
        return (*PATH, *options)

    return prepare


def keys(number: int, *options: str) -> Callable[[Stage], tuple[str, ...]]:
    def prepare(stage: Stage) -> tuple[str, ...]:
        stage.rig.aws.make_user("ci", path="/machine-users/", keys=number)
        return (*PATH, *options)

    return prepare


def rotated(*options: str) -> Callable[[Stage], tuple[str, ...]]:
    def prepare(stage: Stage) -> tuple[str, ...]:
        stage.rig.settled()
        assert stage.rig.rotate().outcome == "rotated"
        return (*PATH, *options)

    return prepare


def killed(step: str) -> Callable[[Stage], tuple[str, ...]]:
    def prepare(stage: Stage) -> tuple[str, ...]:
        stage.rig.settled()
        assert stage.rig.killed_at(step, "done")
        return stage.configured()

    return prepare


def key_gone(stage: Stage) -> tuple[str, ...]:
    for key in stage.rig.settled():
        stage.rig.aws.client("iam").delete_access_key(UserName="ci", AccessKeyId=key.access_key_id)
    return PATH


def current_inactive(stage: Stage) -> tuple[str, ...]:
    (key,) = stage.rig.aws.make_user("ci", path="/machine-users/", keys=1)
    stage.rig.fill(key)
    stage.rig.aws.client("iam").update_access_key(UserName="ci", AccessKeyId=key.access_key_id, Status="Inactive")
    return PATH


def retire_requested(stage: Stage) -> tuple[str, ...]:
    options = rotated()(stage)
    return (*options, "--retire", stage.rig.ids()[0])


def retire_held(stage: Stage) -> tuple[str, ...]:
    _, current = stage.rig.settled()
    return (*PATH, "--retire", current.access_key_id)


def soaking(stage: Stage) -> tuple[str, ...]:
    stage.rig.settled()
    stage.rig.policy = replace(stage.rig.policy, soak=timedelta(days=1))
    assert stage.rig.rotate().outcome == "retired"
    return (*PATH, "--soak", "1d")


def in_use(stage: Stage) -> tuple[str, ...]:
    last, _ = stage.rig.settled()
    stage.rig.aws.set_last_used(last.access_key_id, 60)
    return PATH


def unmanaged(stage: Stage) -> tuple[str, ...]:
    old, _ = stage.rig.aws.make_user("ci", path="/machine-users/", keys=2, ages=(40 * DAY, 16 * DAY))
    stage.rig.fill(old)
    return PATH


def rolled_back(stage: Stage) -> tuple[str, ...]:
    _, current = stage.rig.settled()
    assert stage.rig.rotate().outcome == "rotated"
    stage.rig.fill(current)
    return PATH


def last_held(stage: Stage) -> tuple[str, ...]:
    last, current = stage.rig.settled()
    value = json.dumps({"AccessKeyId": last.access_key_id, "SecretAccessKey": last.secret_access_key})
    stage.rig.aws.client("ssm").put_parameter(Name="/copies/ci", Value=value, Type="SecureString")
    stage.rig.aws.client("iam").update_access_key(UserName="ci", AccessKeyId=current.access_key_id, Status="Inactive")
    return (*PATH, "--to", SSM)


def own_key(stage: Stage) -> tuple[str, ...]:
    (own,) = stage.rig.aws.make_user("ci", path="/machine-users/", keys=1, ages=(20 * DAY,))
    stage.rig.fill(own)
    stage.rig.aws.client("iam").put_user_policy(UserName="ci", PolicyName="all", PolicyDocument=_policy(EVERYTHING))
    stage.act_as(own)
    return PATH


def user_recreated(stage: Stage) -> tuple[str, ...]:
    stage.rig.aws.make_user("ci", path="/machine-users/", keys=0)
    made = stage.rig.rotate().current
    iam = stage.rig.aws.client("iam")
    iam.delete_access_key(UserName="ci", AccessKeyId=made)
    iam.delete_user(UserName="ci")
    return keys(1)(stage)


def still_listed(stage: Stage) -> tuple[str, ...]:
    """A key exists that was deleted after its creation, according to the journal."""
    stage.rig.aws.make_user("ci", path="/machine-users/", keys=0)
    stage.rig.rotate()
    made = stage.rig.aws.client("iam").create_access_key(UserName="ci")["AccessKey"]["AccessKeyId"]
    store = stage.rig.world()[1].store
    record = store.load()
    stage.rig.aws.advance(30)
    removed = {made: stage.rig.aws.now() - timedelta(seconds=10)}
    store.save_journal(msgspec.structs.replace(record.journal, removed=removed), record.revision)
    return PATH


def clock_skew(stage: Stage) -> tuple[str, ...]:
    stage.rig.settled()
    stage.rig.aws.advance(90)
    return PATH


def lease_held(stage: Stage) -> tuple[str, ...]:
    stage.rig.settled()
    with mock.patch.object(lease, "_host", return_value="elsewhere boot pid"):
        assert stage.rig.killed_at("create", "done")
    return (*PATH, "--no-wait")


def lease_lost(stage: Stage) -> tuple[str, ...]:
    """Another program writes the journal while a key is being created."""
    options = stage.struck("iam:CreateAccessKey", "hold_after")

    def overtake() -> None:
        stage.rig.aws.weather.wait_until_held(300)
        stage.rig.aws.client("secretsmanager").put_secret_value(
            SecretId="machine-users/ci", SecretString="{}", VersionStages=[JOURNAL]
        )
        stage.rig.aws.weather.release()

    threading.Thread(target=overtake, name=OF_THE_STAGE).start()
    return options


def too_many(stage: Stage) -> tuple[str, ...]:
    stage.rig.aws.make_user("cd", path="/machine-users/", keys=1)
    return (*keys(1)(stage), "--max-users", "1")


def not_verified(stage: Stage) -> tuple[str, ...]:
    stage.rig.settled()
    stage.verify = IN_VAIN
    stage.rig.aws.weather.propagation = 600
    return PATH


def delivery_failed(stage: Stage) -> tuple[str, ...]:
    return stage.struck("ssm:PutParameter", times=None, status=400, code="ValidationException", deliver=(SSM,))


def delivered(stage: Stage) -> tuple[str, ...]:
    stage.rig.deliver = (SSM,)
    return rotated("--to", SSM)(stage)


def not_delivered(stage: Stage) -> tuple[str, ...]:
    stage.rig.settled()
    stage.rig.rotate()
    denied = Rule("ssm:PutParameter", times=None, effect="error_before", status=400, code="ValidationException")
    stage.rig.aws.weather.add(denied)
    return stage.configured(deliver=(SSM,))


def bad_credentials(stage: Stage) -> tuple[str, ...]:
    stage.rig.settled()
    stage.patch.setenv("AWS_ACCESS_KEY_ID", "AKIAAAAAAAAAAAAAAAAA")
    return PATH


def struck(operation: str, effect: str = "error_before", **rule: Any) -> Callable[[Stage], tuple[str, ...]]:
    return lambda stage: stage.struck(operation, effect, **rule)


CASES = (
    Case("rotated", Reason.DUE, settled()),
    Case("rotated", Reason.DUE, settled("--to", SSM), "to two destinations"),
    Case("rotated", Reason.NO_KEY, keys(0)),
    Case("rotated", Reason.STORE_EMPTY, keys(1)),
    Case("rotated", Reason.KEY_GONE, key_gone),
    Case("rotated", Reason.CURRENT_INACTIVE, current_inactive),
    Case("rotated", Reason.FORCED, rotated("--force", "--ignore-last-use")),
    Case("rotated", Reason.INTERRUPTED, killed("create")),
    Case("rotated", Reason.DUE, struck("iam:CreateAccessKey", "throttle", times=2), "after throttling"),
    Case("completed", Reason.INTERRUPTED, killed("store")),
    Case("completed", Reason.OUT_OF_DATE, rotated("--to", SSM)),
    Case("completed", Reason.DELIVERY_REQUESTED, rotated("--to", SSM), command="deliver"),
    Case("not_due", Reason.HELD, delivered, command="deliver"),
    Case("failed", Reason.DELIVERY_FAILED, not_delivered, "asked for", command="deliver"),
    Case("retired", Reason.RETIRE_REQUESTED, retire_requested),
    Case("retired", Reason.STILL_LISTED, still_listed),
    Case("retired", Reason.SOAK, settled("--soak", "1d")),
    Case("not_due", Reason.NOT_DUE, rotated()),
    Case("not_due", Reason.SOAKING, soaking),
    Case("refused", Reason.GRACE, rotated("--force")),
    Case("refused", Reason.IN_USE, in_use),
    Case("refused", Reason.LAST_HELD, last_held),
    Case("refused", Reason.UNMANAGED_KEY, unmanaged),
    Case("refused", Reason.CANNOT_ATTRIBUTE, keys(2)),
    Case("refused", Reason.ROLLED_BACK, rolled_back),
    Case("refused", Reason.RETIRE_HELD, retire_held),
    Case("refused", Reason.RETIRE_UNKNOWN, settled("--retire", "AKIAAAAAAAAAAAAAAAAA")),
    Case("refused", Reason.OWN_KEY, own_key),
    Case("refused", Reason.USER_RECREATED, user_recreated),
    Case(
        "refused",
        Reason.UNREADABLE,
        struck("secretsmanager:DescribeSecret", times=None, status=400, code="AccessDenied"),
    ),
    Case("refused", Reason.PREFLIGHT, struck(WRITE, times=None, status=400, code="AccessDenied")),
    Case("refused", Reason.CLOCK_SKEW, clock_skew),
    Case("refused", Reason.LEASE_HELD, lease_held),
    Case("refused", Reason.TOO_MANY_USERS, too_many),
    Case("failed", Reason.NOT_VERIFIED, not_verified),
    Case("failed", Reason.DELIVERY_FAILED, delivery_failed),
    Case("failed", Reason.LEASE_LOST, lease_lost),
    Case("failed", Reason.ERROR, struck("iam:CreateAccessKey", status=403, code="AccessDenied"), "creation denied"),
    Case("failed", Reason.ERROR, struck("iam:CreateAccessKey", status=409, code="LimitExceeded"), "limit exceeded"),
    Case("failed", Reason.ERROR, struck("iam:CreateAccessKey", "lost_response"), "creation in doubt"),
    Case("failed", Reason.ERROR, struck("iam:CreateAccessKey", "truncated"), "creation cut off"),
    Case("failed", Reason.ERROR, struck("iam:CreateAccessKey", "html"), "creation with the response of a proxy"),
    Case("failed", Reason.ERROR, struck(WRITE, status=500, nth=3, times=None), "store in doubt"),
    Case("failed", Reason.ERROR, struck(WRITE, "html", nth=3, times=None), "store with the response of a proxy"),
    Case(
        "failed",
        Reason.ERROR,
        struck(WRITE, status=400, code="LimitExceededException", nth=3, times=None),
        "store refuses",
    ),
)

BROKEN = (
    Case("exit 1", Reason.ERROR, bad_credentials, "bad credentials"),
    Case("exit 1", Reason.ERROR, lambda _: PATH, "nobody"),
    Case("exit 2", Reason.ERROR, lambda _: ("--path", "x"), "no store"),
)
"""Errors that end the command itself."""
