"""botocore clients for one endpoint, independent of the AWS configuration of this machine, and of its proxies."""

from __future__ import annotations

import os
import threading
from functools import cache
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import UnknownServiceError

from twokey.aws.models import models

__all__ = ["UnknownServiceError", "make_client"]

_one_at_a_time = threading.Lock()


def make_client(
    service: str, *, endpoint_url: str, region: str, key_id: str, secret: str, token: str | None = None
) -> Any:
    """Return an ordinary botocore client that signs with this key and sends to this endpoint."""
    with _one_at_a_time:  # "Multithreading with clients": sessions of botocore are not for many threads
        return _session().create_client(
            service,
            region_name=region,
            endpoint_url=endpoint_url,
            aws_access_key_id=key_id,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(proxies={}),
        )


@cache
def _session() -> botocore.session.Session:
    """The session of all clients: none has a setting from it, and making one takes longer than making a client."""
    session = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
    session.register_component("data_loader", models(None))
    for variable in ("config_file", "credentials_file"):
        session.set_config_variable(variable, os.devnull)
    return session
