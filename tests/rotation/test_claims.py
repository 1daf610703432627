"""What the message of a run that was ended claims is true, wherever it was ended; a refused run creates no store.

Each request of a run is denied once, and once for good. What the message claims is compared with what AWS did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from support.rig import DAY, IN_VAIN, Rig
from twokey.core.errors import ServiceRejected
from twokey.core.journal import Journal
from twokey.core.model import NotHeld, Record
from twokey.core.reasons import Outcome, Reason
from twokey.emulator import Rule
from twokey.planning.policy import RotationPolicy
from twokey.rotation import claims
from twokey.rotation.results import DeliveryResult, Effects

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.rotation.leased_journal import LeasedJournal

STORES = {"secretsmanager": "secretsmanager:keys/{user}", "ssm": "ssm:/keys/{user}"}
NOTHING, NO_KEY, JOBS = "Nothing was changed", "No key was changed", "nothing that jobs read"


def due(rig: Rig, user: str) -> dict[str, Any]:
    """A rotation is due: LAST goes, and a key is created."""
    rig.aws.make_user(user, path="/machine-users/", keys=1)
    assert rig.rotate(user).outcome is Outcome.ROTATED
    rig.later(days=15.5)
    return {}


def new(rig: Rig, user: str) -> dict[str, Any]:
    """There is no store yet."""
    rig.aws.make_user(user, path="/machine-users/", keys=1)
    return {}


def new_with_two_keys(rig: Rig, user: str) -> dict[str, Any]:
    """There is no store yet, and a key has to go first."""
    first, _ = rig.aws.make_user(user, path="/machine-users/", keys=2, ages=(40 * DAY, 20 * DAY))
    return {"retire": first.access_key_id}


SCENARIOS: dict[str, Callable[[Rig, str], dict[str, Any]]] = {
    "due": due,
    "new": new,
    "new, two keys": new_with_two_keys,
}


def denial(operation: str, *, nth: int = 1, times: int | None = 1) -> Rule:
    message = "User: arn:aws:iam::123456789012:user/rotator is not authorized."
    return Rule(
        operation,
        nth=nth,
        times=times,
        effect="error_before",
        status=400,
        code="AccessDeniedException",
        message=message,
    )


class Shown:
    """All that a run can have changed, as administrators see it."""

    def __init__(self, rig: Rig, user: str) -> None:
        self.keys = rig.aws.keys(user)
        self.read, self.all = _of_secret(rig, user) if "secretsmanager" in rig.store_url else _of_parameters(rig, user)

    @property
    def is_empty(self) -> bool:
        return not self.all


def _of_secret(rig: Rig, user: str) -> tuple[Any, Any]:
    secrets = rig.aws.client("secretsmanager")
    try:
        versions = secrets.list_secret_version_ids(SecretId=f"keys/{user}", IncludeDeprecated=True)["Versions"]
    except secrets.exceptions.ResourceNotFoundException:
        return None, None
    text = secrets.get_secret_value(SecretId=f"keys/{user}")["SecretString"]
    pair = text if "AccessKeyId" in text else None
    return pair, [(version["VersionId"], sorted(version["VersionStages"])) for version in versions]


def _of_parameters(rig: Rig, user: str) -> tuple[Any, Any]:
    names = [f"/keys/{user}", f"/keys/{user}.twokey-journal"]
    found = rig.aws.client("ssm").get_parameters(Names=names, WithDecryption=True)["Parameters"]
    shown = {one["Name"]: (one["Version"], one["Value"]) for one in found}
    return shown.get(names[0]), sorted(shown.items())


def assert_true(message: str, outcome: Outcome, before: Shown, after: Shown) -> None:
    if NOTHING in message:
        assert (after.keys, after.all) == (before.keys, before.all), message
    if NO_KEY in message:
        assert after.keys == before.keys, message
    if JOBS in message:
        assert after.read == before.read, message
    if outcome is Outcome.REFUSED:
        assert (after.keys, after.read) == (before.keys, before.read), message
        assert NOTHING in message or NO_KEY in message, message


@pytest.mark.parametrize("scheme", STORES)
@pytest.mark.parametrize("scenario", ["due", "new, two keys"])
def test_wherever_a_run_is_ended_its_message_is_true(rig: Rig, scheme: str, scenario: str) -> None:
    rig.store_url = STORES[scheme]
    rig.policy = RotationPolicy(settle=rig.policy.settle, verification=IN_VAIN)
    nth, ended = 1, 0  # the first request is the test's own: who the user is
    while True:
        nth += 1
        user = f"u{nth}"
        overrides = SCENARIOS[scenario](rig, user)
        before, rule = Shown(rig, user), denial("*", nth=nth)
        rig.aws.weather.add(rule)
        result = rig.rotate(user, **overrides)
        rig.aws.weather.clear()
        if not rule.hits:
            break
        assert_true(result.message, result.outcome, before, Shown(rig, user))
        ended += result.outcome in {Outcome.REFUSED, Outcome.FAILED}
    assert ended > 8


@pytest.mark.parametrize("scheme", STORES)
@pytest.mark.parametrize("scenario", ["new", "new, two keys"])
def test_a_run_that_is_refused_creates_no_store_and_one_that_cannot_finish_keeps_every_key(
    rig: Rig, scheme: str, scenario: str
) -> None:
    """Each operation is denied for good, as a missing permission does; GetCallerIdentity cannot be."""
    rig.store_url = STORES[scheme]
    rig.policy = RotationPolicy(settle=rig.policy.settle, verification=IN_VAIN)
    overrides = SCENARIOS[scenario](rig, "first")
    rig.aws.clear_requests()
    rig.rotate("first", **overrides)
    operations = sorted({request.name for request in rig.aws.requests} - {"sts:GetCallerIdentity", "iam:GetUser"})
    for number, operation in enumerate(operations):
        user = f"d{number}"
        overrides = SCENARIOS[scenario](rig, user)
        before = Shown(rig, user)
        rig.aws.weather.add(denial(operation, times=None))
        result = rig.rotate(user, **overrides)
        rig.aws.weather.clear()
        after = Shown(rig, user)
        assert_true(result.message, result.outcome, before, after)
        told = "now contains this run's journal" in result.message or "was created; it holds no key" in result.message
        if result.outcome is Outcome.REFUSED and not told:
            assert after.is_empty, (operation, result.message)
        if operation.startswith(("secretsmanager:", "ssm:")):
            assert after.keys == before.keys, (operation, result.message)


@pytest.mark.parametrize("url", [*STORES.values(), "file:{folder}/{user}.json"])
def test_a_failed_preflight_creates_no_store(rig: Rig, url: str, tmp_path: Any) -> None:
    """Whatever kind of store it is: another destination cannot be written."""
    rig.store_url = url.replace("{folder}", str(tmp_path))
    blocked = tmp_path / "blocked"
    blocked.mkdir(mode=0o777)
    blocked.chmod(0o777)
    rig.deliver = (f"file:{blocked}/{{user}}.json",)
    rig.aws.make_user("ci", keys=1)
    rig.aws.clear_requests()
    result = rig.rotate()
    assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.PREFLIGHT)
    assert NOTHING in result.message
    assert not [one for one in rig.aws.requests if one.operation.startswith(("Create", "Put", "Update", "Delete"))]
    assert list(tmp_path.iterdir()) == [blocked]


def test_a_region_that_cannot_be_used_creates_no_store(rig: Rig) -> None:
    from dataclasses import replace

    rig.policy = replace(rig.policy, verification=replace(rig.policy.verification, regions=("eu-north-9",)))
    rig.aws.weather.disabled_regions = {"eu-north-9"}
    rig.aws.make_user("ci", keys=1)
    assert rig.rotate().outcome is Outcome.REFUSED
    assert not rig.aws.client("secretsmanager").list_secrets()["SecretList"]


@pytest.mark.parametrize("lease", ["none", "doubtful", "written"])
@pytest.mark.parametrize("removed", [[], ["AKIALAST"]])
def test_a_store_does_not_know_what_the_run_did_before(lease: Any, removed: list[str]) -> None:
    """What a store claims where it refuses a value is true of the store alone."""
    effects = Effects(removed=removed, begun=bool(removed), lease=lease)
    error = ServiceRejected("ssm:/ci is a String.", state="Nothing was changed.", remedy="Delete it.")
    claims.checked(error, effects, "ssm:/ci")
    assert (error.state == "Nothing was changed.") == (lease == "none" and not removed)
    assert ("AKIALAST" in str(error)) == bool(removed)


@pytest.mark.parametrize(
    ("epochs", "state"),
    [
        ((0,), "No key was changed. ssm:/ci now contains this run's journal, and no key."),
        # A run that loses a race begins again; the journal that it finds then is its own.
        ((0, 1), "No key was changed. ssm:/ci now contains this run's journal, and no key."),
        ((1,), "No key was changed, and nothing that jobs read; only the journal of ssm:/ci was written."),
    ],
)
def test_a_store_that_holds_no_key_was_created_by_the_run_that_found_no_journal(
    epochs: tuple[int, ...], state: str
) -> None:
    effects, lease = Effects(), cast("LeasedJournal", object())
    for epoch in epochs:
        claims.leased(effects, Record(NotHeld(), Journal(epoch=epoch), epoch), lambda: lease)
    error = ServiceRejected("It was refused.", state="Nothing was changed.")
    claims.checked(error, effects, "ssm:/ci")
    assert error.state == state


def test_what_was_done_is_named() -> None:
    effects = Effects("AKIANEW", ["AKIALAST"], begun=True, lease="written")
    effects.deactivated.append("AKIAOLD")
    effects.delivered.append(DeliveryResult("ssm:/ci", "delivered"))
    error = ServiceRejected(
        "The secret ci is marked for deletion.", state="It cannot be read, and nothing was changed."
    )
    claims.checked(error, effects, "ssm:/ci")
    assert error.state == (
        "It cannot be read. Before that, this run removed AKIALAST and made AKIAOLD Inactive and created AKIANEW and "
        "wrote to ssm:/ci."
    )


def test_every_claim_in_the_code_is_one_that_is_checked() -> None:
    """A sentence that says that nothing was changed, in words that the check does not know, would stay."""
    import ast
    from pathlib import Path

    import twokey

    for file in Path(str(twokey.__file__)).parent.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        if "state=" in text and not {"drop_in", "testing", "emulator"} & {*file.parts}:
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.keyword) and node.arg == "state" and isinstance(node.value, ast.Constant):
                    error = ServiceRejected("It failed.", state=str(node.value.value))
                    assert claims.claims_nothing(error) or "thing was changed" not in error.state, (file, error.state)
