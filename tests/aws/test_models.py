"""The models from which botocore makes clients: those of its own loader, found and read by a shorter way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from botocore.loaders import Loader

from twokey.aws.clients import Clients
from twokey.aws.models import models
from twokey.core.errors import ServiceError

if TYPE_CHECKING:
    from pathlib import Path

SERVICES = ("iam", "sts", "secretsmanager", "ssm")


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("kind", ["service-2", "endpoint-rule-set-1", "paginators-1"])
def test_are_those_of_botocore(service: str, kind: str) -> None:
    assert models(None).load_service_model(service, kind) == Loader().load_service_model(service, kind)


def test_of_the_configuration_are_found_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "own" / "2011-06-15"
    folder.mkdir(parents=True)
    for kind in ("service-2", "endpoint-rule-set-1"):
        (folder / f"{kind}.json").write_text(json.dumps(Loader().load_service_model("sts", kind)))
    monkeypatch.setenv("MODELS", str(tmp_path))
    monkeypatch.setenv("AWS_DATA_PATH", "/nowhere:$MODELS")
    assert hasattr(Clients("run").client("own", "eu-central-1", keyless=True), "assume_role")


def test_do_not_exist_for_a_service_that_botocore_does_not_know() -> None:
    with pytest.raises(ServiceError, match="Unknown service: 'stss'"):
        Clients("run").client("stss", "eu-central-1", keyless=True)
