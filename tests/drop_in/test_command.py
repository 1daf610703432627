"""The command ``iam-credential-rotation`` as its users run it: what is the same as in the origin tool, what differs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.drop_in_runs import PATH, changes, ids, make, run
from twokey import __version__
from twokey.emulator import Emulator, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY = 86_400
PAGE = Path(__file__).parents[2] / "docs/reference/iam-credential-rotation.md"
PAIR = {"AccessKeyId", "SecretAccessKey"}


@pytest.fixture
def aws() -> Iterator[Emulator]:
    with Emulator(page_size=3) as emulator:
        yield emulator


# The same as the origin tool


def test_users_with_no_one_and_two_keys_get_a_new_one_and_the_oldest_of_two_goes(aws: Emulator, tmp_path: Path) -> None:
    for keys in (0, 1, 2):
        make(aws, f"user-{keys}", keys=keys)
    before = {name: ids(aws, name) for name in ("user-0", "user-1", "user-2")}

    answer = run(aws, tmp_path, PATH)

    assert (answer.code, answer.err) == (0, "")
    assert answer.out == json.dumps(answer.made, indent=2) + "\n"
    assert list(answer.made) == ["user-0", "user-1", "user-2"]
    for name, kept in [("user-0", []), ("user-1", before["user-1"]), ("user-2", before["user-2"][1:])]:
        assert set(answer.made[name]) == PAIR
        assert ids(aws, name) == [*kept, answer.made[name]["AccessKeyId"]]


def test_a_file_holds_the_same_bytes_without_a_newline_and_nothing_is_printed(aws: Emulator, tmp_path: Path) -> None:
    make(aws, "ci")
    (tmp_path / "folder").mkdir()

    answer = run(aws, tmp_path, "-o", "folder/out.json", PATH)

    file = tmp_path / "folder/out.json"
    assert (answer.code, answer.out, answer.err) == (0, "", "")
    made = json.loads(file.read_text("utf-8"))
    assert file.read_text("utf-8") == json.dumps(made, indent=2)
    assert made["ci"]["AccessKeyId"] == ids(aws, "ci")[-1]
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_without_arguments_it_shows_its_help_and_exits_2(aws: Emulator, tmp_path: Path) -> None:
    answer = run(aws, tmp_path)

    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("Usage: iam-credential-rotation [OPTIONS] PATH")
    for option in ("-o, --outfile", "--max-users", "--version", "--help"):
        assert option in answer.err


def test_the_reference_page_shows_the_help_as_it_is(aws: Emulator, tmp_path: Path) -> None:
    assert run(aws, tmp_path, "--help", COLUMNS="80").out in PAGE.read_text("utf-8")


def test_it_says_its_version_in_the_same_words(aws: Emulator, tmp_path: Path) -> None:
    assert run(aws, tmp_path, "--version").out == f"iam-credential-rotation, version {__version__} (twokey)\n"


@pytest.mark.parametrize("arguments", [[""], ["/"], ["é"], ["a", "b"], ["--nope", "a"], ["-o", "", PATH]])
def test_wrong_arguments_exit_2_before_anything_is_called(aws: Emulator, tmp_path: Path, arguments: list[str]) -> None:
    answer = run(aws, tmp_path, *arguments)

    assert (answer.code, answer.out, aws.count()) == (2, "", 0)
    assert "Error: " in answer.err


def test_no_users_exit_2_print_nothing_and_leave_the_file_alone(aws: Emulator, tmp_path: Path) -> None:
    (tmp_path / "out.json").write_text("stored before", "utf-8")

    printed = run(aws, tmp_path, "nobody")
    filed = run(aws, tmp_path, "-o", "out.json", "nobody")

    for answer in (printed, filed):
        assert (answer.code, answer.out) == (2, "")
        assert answer.err == "Error: No IAM user was found below /nobody/. Nothing changed. Check the path.\n"
    assert (tmp_path / "out.json").read_text("utf-8") == "stored before"
    assert [file.name for file in tmp_path.iterdir()] == ["out.json"]


def test_more_than_twenty_users_are_refused_unless_more_are_allowed(aws: Emulator, tmp_path: Path) -> None:
    make(aws, *[f"user-{number:02}" for number in range(21)], keys=0)

    refused = run(aws, tmp_path, PATH)
    assert (refused.code, refused.out, changes(aws)) == (2, "", 0)
    assert refused.err.startswith("Error: 21 IAM users were found below /PSKServiceAccounts/, and at most 20 may be")

    allowed = run(aws, tmp_path, "--max-users", "21", PATH)
    assert (allowed.code, len(allowed.made)) == (0, 21)


@pytest.mark.parametrize(
    ("variable", "value", "code"),
    [
        ("AWS_ACCESS_KEY_ID", "AKIAAAAAAAAAAAAAAAAA", 2),
        ("AWS_SECRET_ACCESS_KEY", "x" * 40, 2),
        ("AWS_ACCESS_KEY_ID", "", 1),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9", 1),
    ],
)
def test_credentials_and_connections_that_fail_exit_like_the_origin(
    aws: Emulator, tmp_path: Path, variable: str, value: str, code: int
) -> None:
    make(aws, "ci")
    more = {variable: value} if value else {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}

    answer = run(aws, tmp_path, PATH, **more)

    assert (answer.code, answer.out, changes(aws)) == (code, "", 0)
    assert answer.err.startswith("Error: ")
    assert answer.err.count("\n") == 1


# Better than it


@pytest.mark.parametrize("path", ["/a/b/", "a/b", "/a/b", "a/b/"])
def test_slashes_at_the_ends_of_path_do_not_matter(aws: Emulator, tmp_path: Path, path: str) -> None:
    aws.make_user("ci", path="/a/b/", keys=1)
    aws.make_user("other", path="/a/bc/", keys=1)

    assert list(run(aws, tmp_path, path).made) == ["ci"]


def test_every_page_of_users_is_read(aws: Emulator, tmp_path: Path) -> None:
    make(aws, *[f"user-{number}" for number in range(7)])

    answer = run(aws, tmp_path, PATH)

    assert len(answer.made) == 7
    assert aws.count("iam:ListUsers") == 3


def test_a_failure_of_one_user_costs_the_others_nothing(aws: Emulator, tmp_path: Path) -> None:
    make(aws, "a", "b", "c")
    aws.weather.add(
        Rule("iam:CreateAccessKey", nth=2, effect="error_before", status=400, code="InvalidInput", message="No.")
    )

    answer = run(aws, tmp_path, PATH)

    assert (answer.code, list(answer.made)) == (1, ["a", "c"])
    assert answer.err.startswith("Error: b: no key was created: iam:CreateAccessKey on b: No (InvalidInput).")
    assert "was deleted; any other key is untouched." in answer.err


@pytest.mark.parametrize("effect", ["lost_response", "error_after", "truncated"])
def test_a_creation_whose_answer_is_lost_is_sent_once_and_said(aws: Emulator, tmp_path: Path, effect: str) -> None:
    make(aws, "a", "b", keys=1)
    aws.weather.add(Rule("iam:CreateAccessKey", effect=effect, target="a"))

    answer = run(aws, tmp_path, PATH)

    assert (answer.code, list(answer.made)) == (1, ["b"])
    assert aws.count("iam:CreateAccessKey") == 2
    assert answer.err.startswith("Error: a: ")
    assert "may have been created whose secret is lost" in answer.err


def test_a_creation_that_would_be_denied_costs_no_key(aws: Emulator, tmp_path: Path) -> None:
    make(aws, "a", "b")
    deny = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "Action": "iam:CreateAccessKey", "Resource": "*"}],
    }
    aws.client("iam").put_user_policy(UserName="administrator", PolicyName="no", PolicyDocument=json.dumps(deny))

    answer = run(aws, tmp_path, PATH)

    assert (answer.code, answer.out, changes(aws)) == (1, "", 0)
    assert "a: IAM's policies do not let this principal create a key for it." in answer.err
    assert "Error: b: " in answer.err


def test_a_creation_that_is_denied_after_all_costs_one_user_a_key_and_no_other(aws: Emulator, tmp_path: Path) -> None:
    make(aws, "a", "b")
    aws.weather.add(
        Rule("iam:SimulatePrincipalPolicy", times=None, effect="error_before", status=403, code="AccessDenied")
    )
    aws.weather.add(Rule("iam:CreateAccessKey", times=None, effect="error_before", status=403, code="AccessDenied"))

    answer = run(aws, tmp_path, PATH)

    assert (answer.code, answer.out) == (1, "")
    assert (len(ids(aws, "a")), len(ids(aws, "b"))) == (1, 2)
    assert "Error: b: nothing was changed for it, since creating a key was denied for a." in answer.err


def test_a_right_that_the_origin_does_not_need_is_not_required(aws: Emulator, tmp_path: Path) -> None:
    make(aws, "a", "b")
    for operation in ("iam:GetAccessKeyLastUsed", "iam:SimulatePrincipalPolicy"):
        aws.weather.add(Rule(operation, times=None, effect="error_before", status=403, code="AccessDenied"))

    answer = run(aws, tmp_path, PATH)

    assert (answer.code, list(answer.made)) == (0, ["a", "b"])
    assert answer.err.startswith("Warning: it is unknown whether the keys that are removed were used recently. Access")
    assert answer.err.count("\n") == 1


def test_new_keys_are_waited_for(aws: Emulator, tmp_path: Path) -> None:
    make(aws, "a", "b")
    aws.weather.propagation = 2.0

    answer = run(aws, tmp_path, PATH)

    assert (answer.code, answer.err) == (0, "")
    asked = [request for request in aws.requests if request.access_key_id == answer.made["a"]["AccessKeyId"]]
    assert [request.status for request in asked[-3:]] == [200, 200, 200]
    assert asked[0].status == 403


def test_what_a_person_should_know_is_said_and_changes_nothing_in_the_output(aws: Emulator, tmp_path: Path) -> None:
    make(aws, "fresh", ages=(40 * DAY, 3_600))
    make(aws, "used")
    aws.set_last_used(ids(aws, "used")[0], 7_200)

    answer = run(aws, tmp_path, PATH)

    assert (answer.code, list(answer.made)) == (0, ["fresh", "used"])
    fresh, used = answer.err.splitlines()
    assert re.fullmatch(
        r"Warning: the newer key of fresh \(AKIA\w+\) is 1h old: was the last run's output lost\?", fresh
    )
    assert re.fullmatch(r"Warning: AKIA\w+ of used, which is removed, was used 2h ago \(s3\): a job may .*", used)


def test_an_inactive_key_goes_before_an_active_one(aws: Emulator, tmp_path: Path) -> None:
    make(aws, "ci")
    old, new = ids(aws, "ci")
    aws.client("iam").update_access_key(UserName="ci", AccessKeyId=new, Status="Inactive")

    answer = run(aws, tmp_path, PATH)

    assert ids(aws, "ci") == [old, answer.made["ci"]["AccessKeyId"]]
    assert f"Warning: {new} of ci is removed although it is the newer key" in answer.err


def test_a_third_key_and_the_key_of_the_run_are_refused_and_the_others_go_on(aws: Emulator, tmp_path: Path) -> None:
    make(aws, "a")
    make(aws, "b", keys=3)
    answer = run(aws, tmp_path, PATH)
    assert (answer.code, list(answer.made), len(ids(aws, "b"))) == (1, ["a"], 3)
    assert "Error: b: expected at most two keys, found 3 (AKIA" in answer.err

    aws.clear_requests()
    own = run(aws, tmp_path, "admin")
    assert (own.code, own.out, changes(aws)) == (1, "", 0)
    assert f"administrator: this run itself authenticates with its key {aws.admin.access_key_id}" in own.err


def test_github_actions_is_told_what_to_hide_before_anything_shows_it(aws: Emulator, tmp_path: Path) -> None:
    make(aws, "ci")

    answer = run(aws, tmp_path, PATH, GITHUB_ACTIONS="true")

    pair = answer.made["ci"]
    assert answer.err == f"::add-mask::{pair['AccessKeyId']}\n::add-mask::{pair['SecretAccessKey']}\n"


def test_a_file_that_cannot_be_used_is_found_out_before_anything_is_called(aws: Emulator, tmp_path: Path) -> None:
    make(aws, "ci")
    (tmp_path / "link").symlink_to("elsewhere")

    for name in ("link", ".", "absent/out.json"):
        answer = run(aws, tmp_path, "-o", name, PATH)
        assert (answer.code, answer.out, aws.count()) == (2, "", 0)
    assert not (tmp_path / "elsewhere").exists()
