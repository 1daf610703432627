"""The document that SDKs read from a ``credential_process``.

Source: "Process credential provider" (AWS SDKs and Tools Reference Guide). An SDK asks again when ``Expiration`` is
near, most of them from 15 minutes before it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from twokey.core import timestamps
from twokey.core.secret import Hidden, token_of

if TYPE_CHECKING:
    from twokey.jobs.credentials import Provided


def document(provided: Provided) -> Hidden:
    """Return the credentials as one JSON object."""
    credential = provided.credential
    found = {"Version": 1, "AccessKeyId": credential.access_key_id, "SecretAccessKey": credential.reveal()}
    if token := token_of(credential):
        found["SessionToken"] = token
    found["Expiration"] = timestamps.utc(provided.expires)
    return Hidden(json.dumps(found))
