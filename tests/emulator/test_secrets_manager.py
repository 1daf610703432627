"""Secrets Manager: labels move as in AWS, so that a compare-and-swap is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from twokey.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable

V1, V2, V3 = (f"0000000{number}-0000-4000-8000-000000000000" for number in (1, 2, 3))
NAME = "machine-users/ci"


@pytest.fixture
def secrets(aws: Emulator) -> Any:
    """A client, with a secret whose only version is V1."""
    client = aws.client("secretsmanager")
    client.create_secret(Name=NAME, SecretString="one", ClientRequestToken=V1)
    return client


def labels(client: Any) -> dict[str, set[str]]:
    found = client.describe_secret(SecretId=NAME).get("VersionIdsToStages", {})
    return {version: set(stages) for version, stages in found.items()}


def put(client: Any, version: str, *stages: str, value: str = "two") -> Any:
    named = {"VersionStages": list(stages)} if stages else {}
    return client.put_secret_value(SecretId=NAME, SecretString=value, ClientRequestToken=version, **named)


def test_awspending_becomes_awscurrent_and_plain_reads_see_it(secrets: Any) -> None:
    put(secrets, V2, "AWSPENDING")
    assert secrets.get_secret_value(SecretId=NAME)["SecretString"] == "one"
    secrets.update_secret_version_stage(
        SecretId=NAME, VersionStage="AWSCURRENT", MoveToVersionId=V2, RemoveFromVersionId=V1
    )
    for how in ({}, {"VersionStage": "AWSCURRENT"}, {"VersionId": V2}):
        response = secrets.get_secret_value(SecretId=NAME, **how)
        assert (response["SecretString"], response["VersionId"]) == ("two", V2)
    assert labels(secrets) == {V2: {"AWSPENDING", "AWSCURRENT"}, V1: {"AWSPREVIOUS"}}


def test_awscurrent_moves_only_from_the_version_that_has_it(secrets: Any, refused: Callable[..., Any]) -> None:
    put(secrets, V2, "AWSPENDING")
    move = secrets.update_secret_version_stage
    error = refused(move, SecretId=NAME, VersionStage="AWSCURRENT", MoveToVersionId=V2, RemoveFromVersionId=V2)
    assert (error.code, error.status) == ("InvalidParameterException", 400)
    error = refused(move, SecretId=NAME, VersionStage="AWSCURRENT", MoveToVersionId=V2)
    assert error.message == (
        f"The parameter RemoveFromVersionId can't be empty. Staging label AWSCURRENT is currently attached to "
        f"version {V1}, so you must explicitly reference that version in RemoveFromVersionId."
    )
    assert labels(secrets) == {V1: {"AWSCURRENT"}, V2: {"AWSPENDING"}}


def test_of_two_that_move_the_same_label_one_fails(secrets: Any, refused: Callable[..., Any]) -> None:
    put(secrets, V2, "A")
    put(secrets, V3, "B", value="three")
    move = {"SecretId": NAME, "VersionStage": "AWSCURRENT", "RemoveFromVersionId": V1}
    secrets.update_secret_version_stage(MoveToVersionId=V2, **move)
    error = refused(secrets.update_secret_version_stage, MoveToVersionId=V3, **move)
    assert error.code == "InvalidParameterException"
    assert secrets.get_secret_value(SecretId=NAME)["VersionId"] == V2


def test_awscurrent_cannot_be_taken_away(secrets: Any, refused: Callable[..., Any]) -> None:
    error = refused(
        secrets.update_secret_version_stage, SecretId=NAME, VersionStage="AWSCURRENT", RemoveFromVersionId=V1
    )
    assert error.code == "InvalidParameterException"


def test_a_put_moves_awscurrent_and_awsprevious_follows(secrets: Any) -> None:
    put(secrets, V2)
    put(secrets, V3, value="three")
    assert labels(secrets) == {V3: {"AWSCURRENT"}, V2: {"AWSPREVIOUS"}}
    assert secrets.get_secret_value(SecretId=NAME, VersionStage="AWSPREVIOUS")["SecretString"] == "two"
    assert secrets.get_secret_value(SecretId=NAME, VersionId=V1)["SecretString"] == "one"
    listed = secrets.list_secret_version_ids(SecretId=NAME, IncludeDeprecated=True)["Versions"]
    assert {version["VersionId"] for version in listed} == {V1, V2, V3}


def test_moving_awscurrent_back_swaps_it_with_awsprevious(secrets: Any) -> None:
    put(secrets, V2)
    secrets.update_secret_version_stage(
        SecretId=NAME, VersionStage="AWSCURRENT", MoveToVersionId=V1, RemoveFromVersionId=V2
    )
    assert labels(secrets) == {V1: {"AWSCURRENT"}, V2: {"AWSPREVIOUS"}}


def test_a_label_of_ones_own_stays_when_awscurrent_moves_on(secrets: Any) -> None:
    secrets.update_secret_version_stage(SecretId=NAME, VersionStage="JOURNAL", MoveToVersionId=V1)
    put(secrets, V2)
    assert labels(secrets) == {V1: {"AWSPREVIOUS", "JOURNAL"}, V2: {"AWSCURRENT"}}


def test_a_label_of_ones_own_is_on_one_version_only(secrets: Any, refused: Callable[..., Any]) -> None:
    put(secrets, V2, "JOURNAL")
    put(secrets, V3, "JOURNAL", value="three")
    assert labels(secrets)[V3] == {"JOURNAL"}
    assert V2 not in labels(secrets)
    assert secrets.get_secret_value(SecretId=NAME)["SecretString"] == "one"
    move = secrets.update_secret_version_stage
    error = refused(move, SecretId=NAME, VersionStage="JOURNAL", MoveToVersionId=V2)
    assert error.code == "InvalidParameterException"
    move(SecretId=NAME, VersionStage="JOURNAL", MoveToVersionId=V2, RemoveFromVersionId=V3)
    assert labels(secrets)[V2] == {"JOURNAL"}
    move(SecretId=NAME, VersionStage="JOURNAL", RemoveFromVersionId=V2)
    assert V2 not in labels(secrets)


def test_the_same_token_with_the_same_value_changes_nothing(secrets: Any) -> None:
    put(secrets, V2)
    put(secrets, V3, value="three")
    assert put(secrets, V2)["VersionId"] == V2
    assert secrets.get_secret_value(SecretId=NAME)["VersionId"] == V3


@pytest.mark.parametrize("stages", [(), ("AWSPENDING",)])
def test_the_same_token_with_another_value_is_refused(
    secrets: Any, refused: Callable[..., Any], stages: tuple[str, ...]
) -> None:
    put(secrets, V2, *stages)
    error = refused(put, client=secrets, version=V2, value="else")
    assert (error.code, error.status) == ("ResourceExistsException", 400)
    assert secrets.get_secret_value(SecretId=NAME, VersionId=V2)["SecretString"] == "two"


def test_a_secret_can_be_empty(aws: Emulator, refused: Callable[..., Any]) -> None:
    client = aws.client("secretsmanager")
    client.create_secret(Name=NAME)
    error = refused(client.get_secret_value, SecretId=NAME)
    assert (error.code, error.status) == ("ResourceNotFoundException", 400)
    assert error.message == "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT"
    assert labels(client) == {}


def test_the_first_version_is_awscurrent_whatever_labels_the_request_names(aws: Emulator) -> None:
    client = aws.client("secretsmanager")
    client.create_secret(Name=NAME)
    response = put(client, V1, "AWSPENDING")
    assert set(response["VersionStages"]) == {"AWSPENDING", "AWSCURRENT"}
    put(client, V2, "AWSPENDING")
    assert labels(client) == {V1: {"AWSCURRENT"}, V2: {"AWSPENDING"}}


def test_a_secret_that_is_not_there_is_not_found(aws: Emulator, refused: Callable[..., Any]) -> None:
    client = aws.client("secretsmanager")
    for operation in ("get_secret_value", "describe_secret", "list_secret_version_ids", "delete_secret"):
        error = refused(getattr(client, operation), SecretId="missing")
        assert (error.code, error.status) == ("ResourceNotFoundException", 400)
        assert error.message == "Secrets Manager can't find the specified secret."


def test_a_label_and_a_version_that_are_not_there_are_not_found(secrets: Any, refused: Callable[..., Any]) -> None:
    read = secrets.get_secret_value
    assert refused(read, SecretId=NAME, VersionStage="NOPE").message.endswith("staging label: NOPE")
    assert refused(read, SecretId=NAME, VersionId=V3).message.endswith(f"VersionId: {V3}")
    error = refused(read, SecretId=NAME, VersionId=V1, VersionStage="AWSPREVIOUS")
    assert error.code == "InvalidRequestException"


def test_a_secret_marked_for_deletion_can_be_described_and_restored_but_not_read(
    secrets: Any, refused: Callable[..., Any]
) -> None:
    secrets.delete_secret(SecretId=NAME, RecoveryWindowInDays=7)
    error = refused(secrets.get_secret_value, SecretId=NAME)
    assert (error.code, error.status) == ("InvalidRequestException", 400)
    assert "marked for deletion" in error.message
    assert refused(put, client=secrets, version=V2).code == "InvalidRequestException"
    assert secrets.describe_secret(SecretId=NAME)["DeletedDate"]
    secrets.restore_secret(SecretId=NAME)
    assert secrets.get_secret_value(SecretId=NAME)["SecretString"] == "one"


def test_creating_a_secret_twice_is_refused(secrets: Any, refused: Callable[..., Any]) -> None:
    assert refused(secrets.create_secret, Name=NAME, SecretString="x").code == "ResourceExistsException"


def test_update_secret_with_a_value_moves_awscurrent(secrets: Any) -> None:
    secrets.update_secret(SecretId=NAME, SecretString="two", ClientRequestToken=V2, Description="d")
    assert labels(secrets) == {V2: {"AWSCURRENT"}, V1: {"AWSPREVIOUS"}}
    assert secrets.describe_secret(SecretId=NAME)["Description"] == "d"


def test_binary_secrets_come_back_as_they_were(secrets: Any) -> None:
    secrets.put_secret_value(SecretId=NAME, SecretBinary=b"\x00\xff")
    assert secrets.get_secret_value(SecretId=NAME)["SecretBinary"] == b"\x00\xff"


def test_a_value_has_at_most_64_kib(secrets: Any, refused: Callable[..., Any]) -> None:
    put(secrets, V2, value="x" * 65536)
    assert refused(put, client=secrets, version=V3, value="x" * 65537).code == "ValidationException"


def test_a_denial_by_kms_can_be_simulated(aws: Emulator, secrets: Any, refused: Callable[..., Any]) -> None:
    from twokey.emulator import Rule

    text = "Access to KMS is not allowed"
    aws.weather.add(
        Rule(
            "secretsmanager:GetSecretValue",
            effect="error_before",
            status=400,
            code="AccessDeniedException",
            message=text,
        )
    )
    error = refused(secrets.get_secret_value, SecretId=NAME)
    assert (error.code, error.message) == ("AccessDeniedException", text)


def test_times_are_the_emulators(aws: Emulator, secrets: Any) -> None:
    aws.advance(86400)
    put(secrets, V2)
    secrets.create_secret(Name="later", SecretString="x")
    dates = [
        secrets.get_secret_value(SecretId=NAME)["CreatedDate"],
        secrets.describe_secret(SecretId=NAME)["LastChangedDate"],
        secrets.describe_secret(SecretId="later")["CreatedDate"],
    ]
    assert all(abs((date - aws.now()).total_seconds()) < 3 for date in dates)


def test_lists_of_secrets_come_in_pages() -> None:
    with Emulator(page_size=2) as aws:
        client = aws.client("secretsmanager")
        for number in range(3):
            client.create_secret(Name=f"s{number}", SecretString="x")
        pages = list(client.get_paginator("list_secrets").paginate())
        assert [len(page["SecretList"]) for page in pages] == [2, 1]


def test_access_to_another_accounts_secret_is_denied(aws: Emulator, secrets: Any, refused: Callable[..., Any]) -> None:
    arn = secrets.describe_secret(SecretId=NAME)["ARN"]
    theirs = aws.client("secretsmanager", aws.admin_of("210987654321"))
    error = refused(theirs.get_secret_value, SecretId=arn)
    assert error.code == "AccessDeniedException"
    assert error.message.endswith("because no resource-based policy allows the secretsmanager:GetSecretValue action")
