"""The configuration of the function: a twokey.yaml in S3, in Parameter Store, or in the environment variable itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twokey.config import load
from twokey.core.errors import UsageError
from twokey.serverless.objects import read_url
from twokey.system.environment import variable

if TYPE_CHECKING:
    from twokey.aws.clients import Clients
    from twokey.config.settings import Settings

VARIABLE = "TWOKEY_CONFIG"
NOTHING = "Nothing was changed."


def settings(clients: Clients) -> Settings:
    """Read the configuration that ``TWOKEY_CONFIG`` names; raises ``UsageError`` with position and problem."""
    found = _settings(clients)
    _check(found)
    return found


def _check(found: Settings) -> None:
    """Raise ``UsageError`` for what a machine keeps or decides that sees a run from its beginning to its end."""
    if found.audit_log:
        raise UsageError(
            f"{found.audit_log.label or 'audit_log'}: a function of AWS Lambda keeps no file, so no audit log.",
            state=NOTHING,
            remedy="Remove audit_log from the configuration of the function; CloudTrail records every change.",
        )
    if found.waves or found.stop_after:
        raise UsageError(
            f"{found.source}: the state machine has no `waves` and no `stop_after`.",
            state=NOTHING,
            remedy="Remove them from the configuration of the function. Start an execution for the accounts of each "
            "wave (`accounts` in its input), and set the tolerated failures of the state machine.",
        )


def _settings(clients: Clients) -> Settings:
    where = variable(VARIABLE)
    if not where:
        raise UsageError(
            f"The environment variable {VARIABLE} is not set.",
            state=NOTHING,
            remedy=f"Set {VARIABLE} of the function to s3://BUCKET/KEY, to ssm:/NAME, or to the text of twokey.yaml.",
        )
    if where.startswith("s3://"):
        return load.parse(_text(read_url(where, VARIABLE, clients), where), where)
    if where.startswith("ssm:"):
        return load.parse(_parameter(where.removeprefix("ssm:"), clients), where)
    return load.parse(where, VARIABLE)


def _text(body: bytes, where: str) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise UsageError(f"{where} is not text in UTF-8.", state=NOTHING) from None


def _parameter(name: str, clients: Clients) -> str:
    from twokey.aws.sending import Sender

    sender = Sender(clients, "ssm")
    found = sender.send("GetParameter", name, mutates=False, Name=name, WithDecryption=True)
    return str(found["Parameter"]["Value"])
