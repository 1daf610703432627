"""The command ``iam-credential-rotation`` when something comes between: no secret is lost, and none is said."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from support.drop_in_runs import PATH, changes, ended, ids, make, run, start
from twokey.emulator import Emulator, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def aws() -> Iterator[Emulator]:
    with Emulator(page_size=3) as emulator:
        yield emulator


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_lets_the_user_in_hand_be_finished_and_the_rest_alone(
    aws: Emulator, tmp_path: Path, number: int, code: int
) -> None:
    make(aws, "a", "b", "c")
    aws.weather.add(Rule("iam:CreateAccessKey", nth=2, effect="hold_after"))
    process = start(aws, tmp_path, PATH)
    aws.weather.wait_until_held(timeout=300)
    before = ids(aws, "c")

    process.send_signal(number)
    aws.weather.release()
    answer = ended(process)

    assert (answer.code, list(answer.made)) == (code, ["a", "b"])
    assert answer.made["b"]["AccessKeyId"] == ids(aws, "b")[-1]
    assert ids(aws, "c") == before
    assert answer.err.startswith("Ending: no further user is begun. The user under way is finished, and every new key")
    assert "Error: The run was stopped; nothing was changed for c." in answer.err


def test_a_signal_before_any_change_ends_the_run_at_once(aws: Emulator, tmp_path: Path) -> None:
    make(aws, "a")
    aws.weather.add(Rule("iam:ListUsers", effect="hold_before"))
    process = start(aws, tmp_path, "-o", "out.json", PATH)
    aws.weather.wait_until_held(timeout=300)

    process.send_signal(signal.SIGTERM)
    answer = ended(process)

    assert (answer.code, answer.out, changes(aws)) == (143, "", 0)
    assert list(tmp_path.iterdir()) == []


def test_a_signal_while_keys_are_proved_hands_them_over_unproved(aws: Emulator, tmp_path: Path) -> None:
    make(aws, "a")
    aws.weather.propagation = 3_600.0
    aws.weather.add(Rule("sts:GetCallerIdentity", nth=3, effect="hold_before"))
    process = start(aws, tmp_path, PATH)
    aws.weather.wait_until_held(timeout=300)

    process.send_signal(signal.SIGTERM)
    aws.weather.release()
    answer = ended(process)

    assert (answer.code, list(answer.made)) == (143, ["a"])
    assert "was not proved to work. It is in the output; try it before you rely on it." in answer.err


def test_a_run_that_is_killed_leaves_its_secrets_beside_the_file(aws: Emulator, tmp_path: Path) -> None:
    make(aws, "a", "b")
    aws.weather.add(Rule("iam:CreateAccessKey", nth=2, effect="hold_before"))
    process = start(aws, tmp_path, "-o", "out.json", PATH)
    aws.weather.wait_until_held(timeout=300)

    process.kill()
    assert ended(process).code == -signal.SIGKILL

    (left,) = tmp_path.iterdir()
    assert left.stat().st_mode & 0o777 == 0o600
    assert json.loads(left.read_text("utf-8"))["a"]["AccessKeyId"] == ids(aws, "a")[-1]


def test_a_reader_that_went_away_loses_no_secret(aws: Emulator, tmp_path: Path) -> None:
    make(aws, "a")
    process = start(aws, tmp_path, PATH, TMPDIR=str(tmp_path))
    assert process.stdout
    process.stdout.close()
    process.stdout = None
    answer = ended(process)

    assert answer.code == 1
    (rescue,) = tmp_path.iterdir()
    made = json.loads(rescue.read_text("utf-8"))
    assert f"The new credentials are in {rescue}, which only you can read." in answer.err
    assert made["a"]["AccessKeyId"] == ids(aws, "a")[-1]
    assert made["a"]["SecretAccessKey"] not in answer.err


def test_no_secret_is_said_whatever_goes_wrong(aws: Emulator, tmp_path: Path) -> None:
    make(aws, "a", "b")
    aws.weather.add(Rule("iam:CreateAccessKey", nth=2, effect="truncated"))

    answer = run(aws, tmp_path, PATH)

    assert answer.made["a"]["SecretAccessKey"] not in answer.err
    assert "SecretAccessKey" not in answer.err
    assert aws.admin.secret_access_key not in answer.err + answer.out


def test_a_user_that_cannot_be_read_is_said_to_be_unchanged(aws: Emulator, tmp_path: Path) -> None:
    make(aws, "a", "b")
    aws.weather.add(
        Rule("iam:ListAccessKeys", times=None, effect="error_before", status=403, code="AccessDenied", target="a")
    )
    aws.weather.add(
        Rule("iam:DeleteAccessKey", effect="error_before", status=400, code="InvalidInput", message="No.", target="b")
    )

    answer = run(aws, tmp_path, PATH)

    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("Error: a: Access denied: iam:ListAccessKeys on a. Nothing was changed for it. Allow")
    assert "Error: b: iam:DeleteAccessKey on b: No (InvalidInput). Nothing was changed for it. Run again." in answer.err
    assert (len(ids(aws, "a")), len(ids(aws, "b"))) == (2, 2)
