"""A credential report is read as AWS documents it, and what it does not tell stays unknown."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from twokey.core.errors import Ambiguous
from twokey.core.model import LastUse
from twokey.inventory import credential_report

HEADER = (
    "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,password_next_rotation,"
    "mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,"
    "access_key_1_last_used_region,access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated,"
    "access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,"
    "cert_1_last_rotated,cert_2_active,cert_2_last_rotated"
)
NONE = "false,N/A,N/A,N/A,N/A"
USED = "true,2026-11-01T08:00:00+00:00,2026-11-28T10:15:00+00:00,eu-central-1,s3"
ARN = "arn:aws:iam::123456789012"


def row(
    password: str = "false,N/A,N/A,N/A", mfa: str = "false", keys: str = f"{NONE},{NONE}", at: str = "user/ci/x"
) -> credential_report.Row:
    """Return the only row of a report."""
    text = f"{HEADER}\nx,{ARN}:{at},2020-01-01T00:00:00+00:00,{password},{mfa},{keys},false,N/A,false,N/A\n"
    [found] = credential_report.parse(text)
    return found


def test_a_key_has_its_last_change_and_its_last_use() -> None:
    [key] = row(keys=f"{USED},{NONE}").keys
    assert key.active
    assert key.changed == datetime(2026, 11, 1, 8, tzinfo=UTC)
    assert key.use == LastUse(datetime(2026, 11, 28, 10, 15, tzinfo=UTC), "s3", "eu-central-1")


@pytest.mark.parametrize("unknown", ["N/A", "no_information", ""])
def test_a_use_that_is_not_told_is_unknown(unknown: str) -> None:
    [key] = row(keys=f"true,2026-11-01T08:00:00+00:00,{unknown},{unknown},{unknown},{NONE}").keys
    assert key.use == LastUse(None)


def test_an_inactive_key_is_a_key_as_long_as_the_report_has_a_date_of_it() -> None:
    inactive = "false,2026-11-01T08:00:00+00:00,N/A,N/A,N/A"
    assert [key.active for key in row(keys=f"{USED},{inactive}").keys] == [True, False]


@pytest.mark.parametrize(
    ("password", "has", "used"),
    [
        ("true,2026-11-28T10:00:00+00:00,N/A,N/A", True, datetime(2026, 11, 28, 10, tzinfo=UTC)),
        ("true,no_information,N/A,N/A", True, None),
        ("FALSE,N/A,N/A,N/A", False, None),
        ("not_supported,2026-11-28T10:00:00+00:00,N/A,N/A", None, datetime(2026, 11, 28, 10, tzinfo=UTC)),
    ],
)
def test_a_password_is_there_is_not_there_or_is_unknown(password: str, *, has: bool | None, used: object) -> None:
    found = row(password=password)
    assert (found.password, found.password_used) == (has, used)


@pytest.mark.parametrize(("at", "path"), [("user/x", "/"), ("user/ci/x", "/ci/"), ("user/a/b/x", "/a/b/")])
def test_the_path_is_that_of_the_arn(at: str, path: str) -> None:
    assert (row(at=at).path, row(at=at).account) == (path, "123456789012")


@pytest.mark.parametrize("text", ["<html>", "user,arn\nx,y", f"{HEADER}\nx,y", f"{HEADER}\n{'x,' * 21}x"])
def test_what_is_no_credential_report_is_an_error(text: str) -> None:
    with pytest.raises(Ambiguous, match="not a credential report"):
        assert not credential_report.parse(text)
