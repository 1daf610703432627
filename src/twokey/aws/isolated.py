"""botocore clients for one endpoint, independent of the AWS configuration of this machine, and of its proxies."""

from __future__ import annotations

import os
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import UnknownServiceError

from twokey.aws.models import models

__all__ = ["UnknownServiceError", "make_client"]


def make_client(
    service: str, *, endpoint_url: str, region: str, key_id: str, secret: str, token: str | None = None
) -> Any:
    """Return an ordinary botocore client that signs with this key and sends to this endpoint."""
    session = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
    session.register_component("data_loader", models(None))
    for variable in ("config_file", "credentials_file"):
        session.set_config_variable(variable, os.devnull)
    return session.create_client(
        service,
        region_name=region,
        endpoint_url=endpoint_url,
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=Config(proxies={}),
    )
