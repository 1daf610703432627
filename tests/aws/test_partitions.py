"""Where requests go: each partition has endpoints of its own, with FIPS and dual-stack variants."""

from __future__ import annotations

from typing import Any

import pytest

from twokey.aws.clients import Clients
from twokey.aws.errors import call
from twokey.core.errors import ServiceRejected

SERVICES = {
    "iam": ("list_users", {}),
    "sts": ("get_caller_identity", {}),
    "secretsmanager": ("list_secrets", {}),
    "ssm": ("get_parameter", {"Name": "/ci"}),
}
FIPS, DUAL = "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"
HOSTS = {
    ("eu-central-1", ""): "iam.amazonaws.com {}.eu-central-1.amazonaws.com",
    ("cn-north-1", ""): "iam.cn-north-1.amazonaws.com.cn {}.cn-north-1.amazonaws.com.cn",
    ("us-gov-west-1", ""): "iam.us-gov.amazonaws.com {}.us-gov-west-1.amazonaws.com",
    ("eusc-de-east-1", ""): "iam.eusc-de-east-1.amazonaws.eu {}.eusc-de-east-1.amazonaws.eu",
    ("us-east-1", FIPS): "iam-fips.amazonaws.com {}-fips.us-east-1.amazonaws.com",
    ("us-gov-west-1", FIPS): "iam.us-gov.amazonaws.com {}.us-gov-west-1.amazonaws.com",
    ("eu-central-1", DUAL): "iam.global.api.aws {}.eu-central-1.api.aws",
    ("us-gov-west-1", DUAL): "iam.us-gov.api.aws {}.us-gov-west-1.api.aws",
    ("eusc-de-east-1", DUAL): "iam.global.api.amazonwebservices.eu {}.eusc-de-east-1.api.amazonwebservices.eu",
}
"""The endpoints of IAM, and of STS, by region and variant ("Endpoints", AWS General Reference)."""


class _Seen(Exception):
    """Ends a request before it is sent."""


def asked(service: str) -> str:
    """Return the host that a request of twokey would be sent to."""
    seen: list[str] = []

    def stop(**event: Any) -> None:
        seen.append(event["request"].url.split("/")[2])
        raise _Seen

    client = Clients("run").client(service)
    client.meta.events.register("before-send", stop)
    operation, parameters = SERVICES[service]
    with pytest.raises(_Seen):
        getattr(client, operation)(**parameters)
    return seen[0]


@pytest.fixture(autouse=True)
def _a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")


@pytest.mark.parametrize(("region", "variant"), HOSTS)
def test_requests_go_to_the_endpoints_of_the_partition(
    monkeypatch: pytest.MonkeyPatch, region: str, variant: str
) -> None:
    monkeypatch.setenv("AWS_REGION", region)
    if variant:
        monkeypatch.setenv(variant, "true")
    iam, others = HOSTS[region, variant].split()
    assert asked("iam") == iam
    assert asked("sts") == others.format("sts")


@pytest.mark.parametrize("service", ["secretsmanager", "ssm"])
def test_an_endpoint_of_ones_own_comes_before_every_variant(monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv(DUAL, "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://vpce.test")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", "https://ssm.vpce.test")
    assert asked(service) == ("ssm.vpce.test" if service == "ssm" else "vpce.test")


def test_a_variant_that_a_partition_lacks_is_told_with_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "cn-north-1")
    monkeypatch.setenv(FIPS, "true")
    clients = Clients("run")
    with pytest.raises(ServiceRejected, match=f"does not support FIPS.*{FIPS}"):
        call("s3:GetObject", "b/k", lambda: clients.client("s3").get_object(Bucket="b", Key="k"), mutates=False)
