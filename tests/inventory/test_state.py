"""Keys in Terraform's files are held against the account. tests/docs has files that Terraform itself wrote."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from inventory.cases import LIMITS, NEW, OLD, REPORT, managed, rotated, user
from inventory.cases import found as found_key
from support.commands import twokey
from twokey.aws.iam import Iam
from twokey.emulator import Rule
from twokey.inventory import report, state
from twokey.inventory.credential_report import Report
from twokey.inventory.state_files import StateKey

if TYPE_CHECKING:
    from pathlib import Path

    from support.commands import Ran
    from support.rig import Rig
    from twokey.emulator import KeyPair


def write(rig: Rig, folder: Path, *pairs: KeyPair, secret: bool = True, kind: str = "aws_iam_access_key") -> None:
    """Write a state with these keys; IAM has made a credential report."""
    rig.aws.client("iam").generate_credential_report()
    instances = [
        {
            "index_key": number,
            "attributes": {"id": one.access_key_id, "secret": one.secret_access_key if secret else None},
        }
        for number, one in enumerate(pairs)
    ]
    resource = {"mode": "managed", "type": kind, "name": "k", "instances": instances}
    folder.joinpath("terraform.tfstate").write_text(json.dumps({"version": 4, "resources": [resource]}))


def found(ran: Ran) -> list[tuple[str, str]]:
    """Return the rules about Terraform's files that were found, each with the user."""
    return [(one["id"], one["user"]) for one in ran.document["findings"] if one["id"].startswith("TK73")]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def audit(*arguments: str) -> Ran:
    return twokey("audit", "--json", "--state", "terraform.tfstate", *arguments)


class TestAKey:
    def test_of_the_account_is_found_with_its_user_and_its_secret_is_not_shown(self, rig: Rig, folder: Path) -> None:
        [pair] = rig.aws.make_user("ci", keys=1)
        write(rig, folder, pair)
        ran = audit("--fail-on", "critical")
        assert ran.code == 4
        assert found(ran) == [("TK731", "ci")]
        assert pair.secret_access_key not in ran.out + ran.err
        [one] = [one for one in ran.document["findings"] if one["id"] == "TK731"]
        assert one["resource"] == "arn:aws:iam::123456789012:user/machine-users/ci"
        assert "terraform state rm 'aws_iam_access_key.k[0]'" in one["remedy"]
        assert "removed { from = aws_iam_access_key.k, lifecycle { destroy = false } }" in one["remedy"]

    def test_that_is_inactive_or_deleted_is_less_severe(self, rig: Rig, folder: Path) -> None:
        first, second, _ = rig.aws.make_user("ci", keys=3)
        iam = rig.aws.client("iam")
        iam.update_access_key(UserName="ci", AccessKeyId=first.access_key_id, Status="Inactive")
        iam.delete_access_key(UserName="ci", AccessKeyId=second.access_key_id)
        write(rig, folder, first, second)
        assert sorted(found(audit())) == [("TK732", ""), ("TK732", "ci")]

    def test_without_its_secret_is_one_that_terraform_would_delete(self, rig: Rig, folder: Path) -> None:
        [pair] = rig.aws.make_user("ci", keys=1)
        write(rig, folder, pair, secret=False)
        assert found(audit()) == [("TK733", "ci")]
        write(rig, folder, pair, secret=False, kind="null_resource")
        assert found(audit()) == []

    def test_is_unknown_where_its_owner_may_not_be_read(self, rig: Rig, folder: Path) -> None:
        [pair] = rig.aws.make_user("ci", keys=1)
        write(rig, folder, pair)
        rule = Rule("iam:GetAccessKeyLastUsed", times=None, effect="error_before", status=403, code="AccessDenied")
        rig.aws.weather.add(rule)
        ran = audit()
        assert ran.code == 1
        assert not ran.document["complete"]
        assert f"Whether {pair.access_key_id} is a key of this account is unknown" in ran.err

    def test_of_another_account_is_asked_about_nowhere(self, rig: Rig, folder: Path) -> None:
        state = {"version": 4, "outputs": {"k": {"value": ["AKIAY34FZKBOKMUTVV7A", "x" * 40]}}}
        folder.joinpath("terraform.tfstate").write_text(json.dumps(state))
        rig.aws.client("iam").generate_credential_report()
        ran = audit()
        assert found(ran) == [("TK732", "")]
        assert rig.aws.count("iam:GetAccessKeyLastUsed") == 0


def test_a_state_in_s3_is_read(rig: Rig, folder: Path) -> None:
    [pair] = rig.aws.make_user("ci", keys=1)
    write(rig, folder, pair)
    s3 = rig.aws.client("s3")
    s3.create_bucket(Bucket="states", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_object(Bucket="states", Key="prod/x.tfstate", Body=folder.joinpath("terraform.tfstate").read_bytes())
    ran = twokey("audit", "--json", "--state", "s3://states/prod/x.tfstate")
    assert found(ran) == [("TK731", "ci")]
    missing = twokey("audit", "--json", "--state", "s3://states/missing")
    assert missing.code == 1
    assert "s3:GetObject on states/missing" in missing.err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.tfstate", "--state: missing.tfstate cannot be read: No such file or directory."),
        (".", "--state: . cannot be read: Is a directory."),
        ("s3:x", "--state: 's3:x': expected s3://BUCKET/KEY."),
    ],
)
def test_a_state_that_cannot_be_read_is_refused_before_the_account_is(rig: Rig, name: str, message: str) -> None:
    before = len(rig.aws.requests)
    ran = twokey("audit", "--state", name)
    assert ran.code == 2
    assert message in ran.err
    assert len(rig.aws.requests) == before


def test_arns_are_of_the_partition(rig: Rig) -> None:
    """A user that is known by its key needs no request; one that is not there is the account's."""
    one = user(found_key(NEW, 5.001, 1), found_key(OLD, 20, 5), of=managed(rotated()))
    result = report.result([one], LIMITS, Report(REPORT, (one.row,)), [], complete=True)
    keys = [StateKey("a", "output.k", key_id, secret=True) for key_id in (NEW, "AKIAY34FZKBOKMUTVV7A")]
    added = state.with_state(result, Iam(rig.clients_of("audit")), keys, "aws-cn").findings
    assert [finding.resource for finding in added] == [
        "arn:aws-cn:iam::123456789012:user/ci",
        "arn:aws-cn:iam::123456789012:root",
    ]
