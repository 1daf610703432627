"""``twokey revoke --all``: every leaked key is Inactive before anything else, and a run again continues."""

from __future__ import annotations

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.commands import Ran, twokey
from twokey.audit_log.verification import verify
from twokey.emulator import Rule
from twokey.fleet import revoking_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.rig import Rig

CONFIG = """
version: 1
settle: 0s
verify: {successes: 1, interval: 0s}
machine_users:
  - path: /m/
    store: secretsmanager:machine-users/{user}
"""
MANY = 6
DAY = 86_400.0
ADMINISTRATOR = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
)
CONTAINMENT = "iam:UpdateAccessKey"


@pytest.fixture(autouse=True)
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder with a configuration."""
    monkeypatch.chdir(tmp_path)
    Path("twokey.yaml").write_text(CONFIG)


def revoke(*options: str) -> Ran:
    return twokey("revoke", "--all", "--yes", "--json", *options)


def make(rig: Rig, *names: str, keys: int = 1, path: str = "/m/") -> list[str]:
    """Make users, each with a store that holds its newest key; return the ids of those keys."""
    made = []
    for name in names:
        current = rig.aws.make_user(name, path=path, keys=keys, ages=(2 * DAY, DAY))[-1]
        rig.fill(current, name)
        made.append(current.access_key_id)
    rig.aws.clear_requests()
    return made


def status_of(rig: Rig, user: str) -> dict[str, str]:
    return {key_id: status for key_id, status, _ in rig.aws.keys(user)}


def names(count: int) -> list[str]:
    return [f"user-{number:02}" for number in range(count)]


def test_all_leaked_keys_are_inactive_first_with_hardly_a_request_to_iam_besides(rig: Rig) -> None:
    leaked = make(rig, *names(MANY))
    ran = revoke()
    assert (ran.code, set(ran.outcomes.values())) == (0, {"revoked"}), ran.err
    to_iam = [request.name for request in rig.aws.requests if request.service == "iam"]
    last = max(index for index, name in enumerate(to_iam) if name == CONTAINMENT)
    assert to_iam[: last + 1] == ["iam:GetAccountAuthorizationDetails", *[CONTAINMENT] * MANY]
    assert rig.aws.count("iam:GetAccountAuthorizationDetails") == 1, "the sessions are found in the same reading"
    writes = [request.name for request in rig.aws.requests if "Put" in request.name or "Update" in request.name]
    assert writes[:MANY] == [CONTAINMENT] * MANY
    for user, key_id in zip(names(MANY), leaked, strict=True):
        assert status_of(rig, user) == {key_id: "Inactive", rig.held(user): "Active"}


def test_those_with_whose_keys_the_most_can_be_done_come_first(rig: Rig) -> None:
    make(rig, *names(4))
    rig.aws.client("iam").put_user_policy(UserName="user-03", PolicyName="all", PolicyDocument=ADMINISTRATOR)
    ran = twokey("revoke", "--all", "--plan")
    assert ran.out.splitlines()[1].startswith("  1. user-03 AKIA")
    assert "(an administrator)" in ran.out.splitlines()[1]
    revoke("--concurrency", "1")
    contained = [request.target for request in rig.aws.requests if request.name == CONTAINMENT]
    assert contained == ["user-03", "user-00", "user-01", "user-02"]


@pytest.mark.parametrize("options", [(), ("--delete",)])
def test_run_again_it_leaves_the_keys_that_it_created(rig: Rig, options: tuple[str, ...]) -> None:
    make(rig, *names(2))
    revoke(*options)
    replaced = [rig.held(user) for user in names(2)]
    ran = revoke(*options)
    assert (ran.code, set(ran.outcomes.values())) == (0, {"revoked"}), ran.document
    assert f"If it has leaked since, name it: twokey revoke {' '.join(replaced)}." in ran.err
    assert [rig.held(user) for user in names(2)] == replaced
    assert [status_of(rig, user)[key_id] for user, key_id in zip(names(2), replaced, strict=True)] == ["Active"] * 2
    ran = revoke("--both")
    assert [status_of(rig, user)[key_id] for user, key_id in zip(names(2), replaced, strict=True)] == ["Active"] * 2


def test_a_day_later_it_is_another_incident(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    [leaked] = make(rig, "ci")
    revoke("--delete")
    replaced = rig.held("ci")
    monkeypatch.setattr(revoking_all, "SAME_INCIDENT", timedelta(minutes=-1))  # clocks may differ by a second
    assert revoke("--delete").outcomes == {"ci": "revoked"}
    assert rig.held("ci") not in (leaked, replaced)


def test_one_user_s_failure_stops_no_other(rig: Rig) -> None:
    leaked = make(rig, *names(3))
    rig.aws.weather.add(
        Rule(CONTAINMENT, effect="error_before", status=403, code="AccessDenied", target="user-01", times=None)
    )
    ran = revoke()
    assert ran.code == 1
    assert ran.outcomes == {"user-00": "revoked", "user-01": "failed", "user-02": "revoked"}
    assert status_of(rig, "user-01") == {leaked[1]: "Active"}
    failed = next(one for one in ran.document["results"] if one["user"] == "user-01")
    assert f"{leaked[1]} of user-01 may still be Active" in failed["message"]


def test_where_a_store_cannot_be_read_the_only_key_is_the_leaked_one_and_of_two_the_operator_names_it(
    rig: Rig,
) -> None:
    [only] = make(rig, "one")
    make(rig, "two", keys=2)
    rig.aws.weather.add(
        Rule("secretsmanager:*", effect="error_before", status=400, code="AccessDeniedException", times=None)
    )
    ran = revoke()
    assert ran.outcomes == {"one": "contained", "two": "refused"}
    assert status_of(rig, "one") == {only: "Inactive"}
    refused = next(one for one in ran.document["results"] if one["user"] == "two")
    for key_id, status in status_of(rig, "two").items():
        assert status == "Active"
        assert f"twokey revoke {key_id}" in refused["message"]


def test_a_store_that_does_not_respond_holds_up_no_user(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    [slow, other] = make(rig, "slow", "other")
    make(rig, "two", keys=2)
    monkeypatch.setattr(revoking_all, "PATIENCE", 0.5)
    for name in ("slow", "two"):
        rig.aws.weather.add(Rule("secretsmanager:*", effect="hold_before", target=f"machine-users/{name}"))

    def release_when_contained() -> None:
        rig.aws.weather.wait_until_held(300, 2)
        until = time.monotonic() + 300
        while rig.aws.count(CONTAINMENT) < 2 and time.monotonic() < until:
            time.sleep(0.01)
        rig.aws.weather.release()

    with ThreadPoolExecutor(1) as pool:
        released = pool.submit(release_when_contained)
        ran = revoke()
        released.result()
    assert ran.outcomes == {"slow": "revoked", "other": "revoked", "two": "refused"}
    assert (status_of(rig, "slow")[slow], status_of(rig, "other")[other]) == ("Inactive", "Inactive")
    assert set(status_of(rig, "two").values()) == {"Active"}


def test_with_both_no_store_decides(rig: Rig) -> None:
    make(rig, "ci", keys=2)
    revoke("--both")
    assert set(status_of(rig, "ci").values()) == {"Inactive"}


def test_a_path_limits_the_users_of_the_configuration(rig: Rig) -> None:
    [inside] = make(rig, "inside", path="/m/x/")
    [outside] = make(rig, "outside")
    rig.aws.make_user("keyless", path="/m/x/", keys=0)
    ran = revoke("--path", "m/x")
    assert ran.outcomes == {"inside": "revoked"}
    assert "Warning: keyless without an access key: nothing to revoke." in ran.err
    assert status_of(rig, "inside")[inside] == "Inactive"
    assert status_of(rig, "outside") == {outside: "Active"}
    assert revoke("--path", "/none/").code == 1, "a path that is misspelt is no success"


def test_without_a_configuration_the_keys_below_a_path_are_contained(rig: Rig) -> None:
    Path("twokey.yaml").unlink()
    assert revoke().code == 2
    assert rig.aws.requests == []
    [only] = make(rig, "one")
    make(rig, "two", keys=2)
    ran = revoke("--path", "/m/")
    assert (ran.code, ran.outcomes) == (1, {"one": "contained", "two": "refused"})
    assert status_of(rig, "one") == {only: "Inactive"}


def test_where_the_account_cannot_be_read_it_says_so_and_goes_on(rig: Rig) -> None:
    make(rig, "ci")
    rig.aws.weather.add(
        Rule("iam:GetAccountAuthorizationDetails", effect="error_before", status=403, code="AccessDenied", times=None)
    )
    ran = revoke()
    [result] = ran.document["results"]
    assert (result["outcome"], result["reason"]) == ("contained", "sessions_left")
    assert result["current"] != result["contained"][0]["key"]
    assert "Warning: The account cannot be read, so the keys are made Inactive in the order" in ran.err


def test_more_users_than_allowed_are_refused_before_any_change(rig: Rig) -> None:
    make(rig, *names(3))
    ran = revoke("--max-users", "2")
    assert (ran.code, set(ran.outcomes.values())) == (3, {"refused"})
    assert rig.aws.count(CONTAINMENT) == 0
    assert "--max-users 3" in ran.document["results"][0]["message"]


def test_the_evidence_names_every_key_and_every_request(rig: Rig) -> None:
    leaked = make(rig, *names(2))
    ran = revoke("--evidence", "evidence")
    assert ran.code == 0, ran.err
    [file] = Path("evidence").glob("*.json")
    document = json.loads(file.read_text())
    assert sorted(key["key_id"] for user in document["users"] for key in user["leaked"]) == sorted(leaked)
    assert sum(one["action"] == "iam:UpdateAccessKey" for one in document["changes"]) == 2
    assert sum(one["action"] == "iam:CreateAccessKey" for one in document["changes"]) == 2
    assert document["left"] == []
    assert all(user["sessions"] for user in document["users"])
    for user in names(2):
        stored = rig.stored(user)
        assert stored is not None
        assert not any(stored.secret_access_key in one.read_text() for one in Path("evidence").iterdir())
    assert f"Evidence: {file.name} and {file.stem}.md in evidence." in ran.err


def test_an_interruption_says_which_keys_are_inactive_and_the_next_run_continues(rig: Rig) -> None:
    leaked = make(rig, *names(4))
    rule = rig.aws.weather.add(Rule(CONTAINMENT, nth=3, effect="hold_before"))

    def interrupt() -> None:
        rig.aws.weather.wait_until_held(300)
        handler = signal.getsignal(signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        while signal.getsignal(signal.SIGINT) is handler:  # until the main thread has noticed
            time.sleep(0.001)
        rig.aws.weather.remove(rule)
        rig.aws.weather.release()

    with interruptible(), ThreadPoolExecutor(1) as pool:
        pool.submit(interrupt)
        ran = revoke("--concurrency", "1", "--evidence", "evidence", "--audit-log", "audit.log")
    assert ran.code == 130
    assert [ran.outcomes[user] for user in names(4)] == ["contained", "contained", "contained", "failed"]
    assert [status_of(rig, user)[key] for user, key in zip(names(4), leaked, strict=True)] == [
        *["Inactive"] * 3,
        "Active",
    ]
    [file] = Path("evidence").glob("*.json")
    left = {one["user"]: one["what"] for one in json.loads(file.read_text())["left"]}
    assert f"{leaked[3]} may still be Active: the run was interrupted." in left["user-03"]
    assert json.loads(Path("audit.log").read_text().splitlines()[-1])["what"] == "evidence"
    assert verify(Path("audit.log")).good
    assert set(revoke().outcomes.values()) == {"revoked"}
    assert {key: status_of(rig, user)[key] for user, key in zip(names(4), leaked, strict=True)} == dict.fromkeys(
        leaked, "Inactive"
    )


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGINT raise, also where the shell that started the tests ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def test_twokey_s_own_key_is_left_out(rig: Rig) -> None:
    [own] = make(rig, "rotator")
    make(rig, "ci")
    rig.aws.client("iam").put_user_policy(UserName="rotator", PolicyName="all", PolicyDocument=ADMINISTRATOR)
    key = rig.stored("rotator")
    assert key is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", key.access_key_id)
        patch.setenv("AWS_SECRET_ACCESS_KEY", key.secret_access_key)
        ran = revoke()
    assert ran.outcomes == {"ci": "revoked", "rotator": "refused"}
    assert status_of(rig, "rotator") == {own: "Active"}


def test_all_and_a_name_exclude_each_other(rig: Rig) -> None:
    assert revoke("ci").code == 2
    assert rig.aws.requests == []
