"""Environment variables: those that provide credentials, those that would win over them, and how shells set them.

Sources: "Environment variables support", "Container credential provider", "Standardized credential providers" (AWS
SDKs and Tools Reference Guide); "Export credentials" (AWS CLI Command Reference) for the formats.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from twokey.core import timestamps
from twokey.core.errors import Failed
from twokey.core.secret import Hidden, token_of
from twokey.jobs import credential_process

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.jobs.credentials import Provided

ID, SECRET, TOKEN, END = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
)
URI, AUTHORIZATION = "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN"
OLD_TOKEN = "AWS_SECURITY_TOKEN"  # noqa: S105  a variable's name

WINNING = (
    *(ID, SECRET, TOKEN, END, OLD_TOKEN),
    # The names that older SDKs and tools read.
    *("AWS_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_CREDENTIAL_FILE", "AMAZON_ACCESS_KEY_ID", "AMAZON_SECRET_ACCESS_KEY"),
    *("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"),
    *("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME"),
    *("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", URI, AUTHORIZATION, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
)
"""The variables that select credentials. Those that twokey does not set are taken out of the command's environment."""

_PLAIN = re.compile(r"[\w+/=.:-]*", re.ASCII)
"""What keys, secrets, tokens and times consist of; no shell expands it."""
FORMATS = ("process", "env", "env-no-export", "powershell", "windows-cmd", "fish")


def variables(provided: Provided) -> dict[str, Hidden]:
    """Return the variables that provide credentials; a session token that there is none of is not among them."""
    credential = provided.credential
    found = {ID: Hidden(credential.access_key_id), SECRET: credential.reveal()}
    if token := token_of(credential):
        found |= {TOKEN: token, END: Hidden(timestamps.utc(provided.expires))}
    return found


def rendered(provided: Provided, form: str) -> list[Hidden]:
    """Return the lines of the credentials in one of the formats.

    For an access key, a session token of an earlier use of the same shell is removed: with it, AWS rejects the key.
    """
    if form == "process":
        return [credential_process.document(provided)]
    found = variables(provided)
    if not all(map(_PLAIN.fullmatch, found.values())):
        raise Failed(
            f"The credentials of {provided.credential.access_key_id} contain characters that AWS never uses, and that "
            "a shell may execute.",
            state="Nothing was printed.",
            remedy="Another program may have written to the store: twokey status shows what it holds.",
        )
    lines = [Hidden(_SET[form].format(name=name, value=value)) for name, value in found.items()]
    if TOKEN not in found:
        lines += [Hidden(_REMOVE[form].format(name=name)) for name in (TOKEN, END)]
    return lines


_SET: Mapping[str, str] = {
    "env": "export {name}={value}",
    "env-no-export": "{name}={value}",
    "powershell": '$Env:{name}="{value}"',
    "windows-cmd": "set {name}={value}",
    "fish": "set -gx {name} {value}",
}
_REMOVE: Mapping[str, str] = {
    "env": "unset {name}",
    "env-no-export": "{name}=",
    "powershell": "Remove-Item Env:{name} -ErrorAction SilentlyContinue",
    "windows-cmd": "set {name}=",
    "fish": "set -e {name}",
}
