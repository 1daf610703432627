"""Starting and stopping: one at a time, empty every time, quick, with clear errors about what is missing."""

from __future__ import annotations

import importlib
import subprocess
import sys
import threading
from typing import Any

import pytest

from twokey.emulator import Emulator, EmulatorError


def test_importing_the_package_imports_neither_moto_nor_botocore() -> None:
    code = "import sys, twokey.emulator; print(sorted({'moto', 'flask', 'botocore', 'boto3'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_moto_the_error_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['moto'] = None\n"
        "from twokey.emulator import Emulator, EmulatorError\n"
        "try:\n    Emulator().start()\nexcept EmulatorError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install '.[emulator]'" in done.stdout


def test_only_one_runs_at_a_time_in_a_process(aws: Emulator) -> None:
    with pytest.raises(EmulatorError, match="already running"):
        Emulator().start()
    assert aws.client("iam").list_users()["Users"]


def test_a_start_discards_all_earlier_state() -> None:
    with Emulator() as aws:
        aws.make_user("ci")
        aws.client("secretsmanager").create_secret(Name="s", SecretString="x")
        names = [user["UserName"] for user in aws.client("iam").list_users()["Users"]]
        assert names == ["administrator", "ci"]
    with Emulator() as aws:
        assert [user["UserName"] for user in aws.client("iam").list_users()["Users"]] == ["administrator"]
        assert aws.client("secretsmanager").list_secrets()["SecretList"] == []


def test_the_same_seed_gives_the_same_key_ids() -> None:
    def ids(seed: int) -> list[str]:
        with Emulator(seed=seed) as aws:
            return [key.access_key_id for key in aws.make_user("ci")]

    assert ids(1) == ids(1)
    assert ids(1) != ids(2)


def test_a_port_that_is_taken_is_a_clear_error(aws: Emulator) -> None:
    code = (
        "from twokey.emulator import Emulator, EmulatorError\n"
        f"try:\n    Emulator(port={aws.port}).start()\nexcept EmulatorError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"Cannot listen on 127.0.0.1:{aws.port}" in done.stdout


def test_after_a_failed_start_another_start_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", "111111111111")
    with pytest.raises(EmulatorError, match="MOTO_ACCOUNT_ID"):
        Emulator().start()
    monkeypatch.delenv("MOTO_ACCOUNT_ID")
    with Emulator() as aws:
        assert aws.port > 0


def test_a_profile_that_does_not_exist_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "there-is-no-such-profile")
    with Emulator() as aws:
        assert aws.client("iam").list_users()["Users"]
        # A request for the history makes a session of its own in moto.
        ssm = aws.client("ssm")
        ssm.put_parameter(Name="/x", Value="x", Type="String")
        assert ssm.get_parameter_history(Name="/x")["Parameters"]


def test_one_that_is_not_running_says_so() -> None:
    aws = Emulator()
    with pytest.raises(EmulatorError, match="not running"):
        _ = aws.endpoint_url
    aws.stop()


def test_motos_own_clock_is_restored() -> None:
    from datetime import UTC, datetime

    with Emulator() as aws:
        aws.advance(86400)
    from moto.core import utils

    assert abs((utils.utcnow() - datetime.now(UTC).replace(tzinfo=None)).total_seconds()) < 1


def test_the_environment_points_only_at_the_emulator(aws: Emulator) -> None:
    key = aws.make_user("ci")[0]
    environment = aws.environment(key)
    assert environment["AWS_ENDPOINT_URL"] == aws.endpoint_url
    assert environment["AWS_ACCESS_KEY_ID"] == key.access_key_id
    assert environment["AWS_CONFIG_FILE"] == environment["AWS_SHARED_CREDENTIALS_FILE"] == "/dev/null"
    assert environment["AWS_EC2_METADATA_DISABLED"] == "true"
    assert set(aws.environment()) == set(environment)


def test_plain_boto3_uses_the_environment(aws: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    boto3 = importlib.import_module("boto3")
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)
    session = boto3.Session()
    assert session.client("sts").get_caller_identity()["Account"] == aws.account_id


def test_any_region_works(aws: Emulator) -> None:
    for region in ("us-east-1", "ap-southeast-2", "eu-central-1"):
        client = aws.client("secretsmanager", region=region)
        arn = client.create_secret(Name="s", SecretString=region)["ARN"]
        assert f":{region}:" in arn
        assert client.get_secret_value(SecretId="s")["SecretString"] == region


def test_many_clients_at_once_all_get_responses(aws: Emulator) -> None:
    for number in range(8):
        aws.make_user(f"u{number}", keys=0)
    failures: list[Any] = []

    def work(name: str) -> None:
        try:
            client = aws.client("iam")
            for _ in range(2):
                client.create_access_key(UserName=name)
            assert len(client.list_access_keys(UserName=name)["AccessKeyMetadata"]) == 2
        except Exception as error:  # noqa: BLE001 - shown below, whatever it is
            failures.append(error)

    threads = [threading.Thread(target=work, args=(f"u{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert aws.count("iam:CreateAccessKey") == 16
    assert len({key for number in range(8) for key, _, _ in aws.keys(f"u{number}")}) == 16


def test_what_moto_lacks_is_not_implemented(aws: Emulator) -> None:
    from botocore.exceptions import ClientError

    with pytest.raises(ClientError) as caught:
        aws.client("iam").get_service_last_accessed_details(JobId="0" * 36)
    assert caught.value.response["Error"]["Code"] == "NotImplemented"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
