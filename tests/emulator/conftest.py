"""What the tests of the emulator share."""

from __future__ import annotations

import importlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from twokey.emulator import Emulator
from twokey.emulator.clock import StillClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from twokey.emulator import KeyPair


@pytest.fixture
def aws() -> Iterator[Emulator]:
    """An emulator without faults or delays, whose time passes only when it is advanced, however busy the machine is."""
    with Emulator(clock=StillClock(datetime.now(UTC))) as emulator:
        yield emulator


class Refusal(Exception):
    """Never raised: contains what a client saw of an error."""

    def __init__(self, error: ClientError) -> None:
        """Parse botocore's error."""
        super().__init__(str(error))
        self.code: str = error.response["Error"]["Code"]
        self.message: str = error.response["Error"]["Message"]
        self.status: int = error.response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.fixture
def refused() -> Callable[..., Refusal]:
    """Call an operation and return the error of the service."""

    def call(operation: Callable[..., Any], **parameters: Any) -> Refusal:
        with pytest.raises(ClientError) as caught:
            operation(**parameters)
        return Refusal(caught.value)

    return call


@pytest.fixture
def one_try() -> Callable[..., Any]:
    """Make clients without retries, so that each fault applies once."""

    def client(aws: Emulator, service: str, key: KeyPair | None = None, **config: Any) -> Any:
        pair = key or aws.admin
        return importlib.import_module("boto3").client(
            service,
            region_name=aws.region,
            endpoint_url=aws.endpoint_url,
            aws_access_key_id=pair.access_key_id,
            aws_secret_access_key=pair.secret_access_key,
            aws_session_token=pair.session_token,
            config=Config(retries={"total_max_attempts": 1}, **config),
        )

    return client
