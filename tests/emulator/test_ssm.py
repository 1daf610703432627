"""Parameter Store: overwriting, versions, labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from twokey.emulator import Emulator
from twokey.emulator.services import operations

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "/machine-users/ci"


@pytest.fixture
def ssm(aws: Emulator) -> Any:
    """A client, with one parameter that has one version."""
    client = aws.client("ssm")
    client.put_parameter(Name=NAME, Value="one", Type="SecureString")
    return client


def test_a_parameter_is_overwritten_only_on_demand(ssm: Any, refused: Callable[..., Any]) -> None:
    error = refused(ssm.put_parameter, Name=NAME, Value="two", Type="SecureString")
    assert (error.code, error.status) == ("ParameterAlreadyExists", 400)
    assert ssm.put_parameter(Name=NAME, Value="two", Overwrite=True)["Version"] == 2
    found = ssm.get_parameter(Name=NAME, WithDecryption=True)["Parameter"]
    assert (found["Value"], found["Version"], found["Type"]) == ("two", 2, "SecureString")
    assert ssm.get_parameter(Name=f"{NAME}:1", WithDecryption=True)["Parameter"]["Value"] == "one"


def test_a_secure_string_is_not_shown_without_decryption(ssm: Any) -> None:
    assert ssm.get_parameter(Name=NAME)["Parameter"]["Value"] != "one"


def test_a_label_moves_between_versions(ssm: Any) -> None:
    ssm.put_parameter(Name=NAME, Value="two", Overwrite=True)
    for version in (1, 2):
        ssm.label_parameter_version(Name=NAME, ParameterVersion=version, Labels=["current"])
        found = ssm.get_parameter(Name=f"{NAME}:current", WithDecryption=True)["Parameter"]
        assert found["Version"] == version


@pytest.mark.parametrize("label", ["1st", "aws-x", "ssm-x"])
def test_some_labels_are_invalid(ssm: Any, label: str) -> None:
    assert ssm.label_parameter_version(Name=NAME, Labels=[label])["InvalidLabels"] == [label]


def test_a_parameter_that_is_not_there_is_not_found_however_often_it_is_requested(
    ssm: Any, refused: Callable[..., Any]
) -> None:
    for operation in (ssm.get_parameter, ssm.delete_parameter, ssm.get_parameter):
        error = refused(operation, Name="/missing")
        assert (error.code, error.status) == ("ParameterNotFound", 400)
    assert refused(ssm.label_parameter_version, Name="/missing", Labels=["x"]).code == "ParameterNotFound"
    assert refused(ssm.get_parameter, Name="/missing").code == "ParameterNotFound"


def test_tags_cannot_be_set_together_with_overwrite(ssm: Any, refused: Callable[..., Any]) -> None:
    tags = [{"Key": "a", "Value": "b"}]
    error = refused(ssm.put_parameter, Name=NAME, Value="two", Overwrite=True, Tags=tags)
    assert error.code == "ValidationException"


def test_a_standard_parameter_has_four_kilobytes_and_an_advanced_one_eight(
    ssm: Any, refused: Callable[..., Any]
) -> None:
    long = {"Name": NAME, "Value": "x" * 4097, "Overwrite": True}
    assert refused(ssm.put_parameter, **long).code == "ValidationException"
    assert ssm.put_parameter(**long, Tier="Advanced")["Version"] == 2
    assert refused(ssm.put_parameter, **{**long, "Value": "x" * 8193}, Tier="Advanced").code == "ValidationException"


def test_a_write_without_a_key_encrypts_with_the_accounts_default(ssm: Any) -> None:
    for key, expected in (({"KeyId": "alias/own"}, "alias/own"), ({}, "alias/aws/ssm")):
        ssm.put_parameter(Name=NAME, Value="two", Overwrite=True, **key)
        [about] = ssm.describe_parameters()["Parameters"]
        assert about["KeyId"] == expected
        assert ssm.get_parameter(Name=NAME, WithDecryption=True)["Parameter"]["Value"] == "two"


def test_a_standard_parameter_has_no_policies(ssm: Any, refused: Callable[..., Any]) -> None:
    assert refused(ssm.put_parameter, Name=NAME, Value="two", Overwrite=True, Policies="[]").code == (
        "ValidationException"
    )


def test_times_are_the_emulators(aws: Emulator, ssm: Any) -> None:
    aws.advance(86400)
    ssm.put_parameter(Name=NAME, Value="two", Overwrite=True)
    modified = ssm.get_parameter(Name=NAME)["Parameter"]["LastModifiedDate"]
    assert abs((modified - aws.now()).total_seconds()) < 3


def test_a_path_of_parameters_comes_in_pages() -> None:
    with Emulator(page_size=2) as aws:
        client = aws.client("ssm")
        for number in range(3):
            client.put_parameter(Name=f"/m/p{number}", Value="x", Type="String")
        pages = list(client.get_paginator("get_parameters_by_path").paginate(Path="/m"))
        assert [len(page["Parameters"]) for page in pages] == [2, 1]


def test_what_is_read_without_moto_is_what_moto_returns(
    ssm: Any, refused: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    ssm.put_parameter(Name="plain", Value="a,b", Type="StringList")
    names = [NAME, "plain", "/missing"]

    def read() -> list[Any]:
        found: list[Any] = []
        for decrypted in (True, False):
            found += [ssm.get_parameter(Name=name, WithDecryption=decrypted)["Parameter"] for name in names[:2]]
            several = ssm.get_parameters(Names=names, WithDecryption=decrypted)
            found += sorted(several["Parameters"], key=lambda one: str(one["Name"])), several["InvalidParameters"]
        error = refused(ssm.get_parameter, Name="/missing")
        return [*found, (error.code, error.status)]

    without = read()
    for name in ("ssm:GetParameter", "ssm:GetParameters"):
        monkeypatch.delitem(operations(), name)
    assert read() == without
