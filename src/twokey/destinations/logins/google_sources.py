"""Where Google's credentials come from if nothing is configured, who pays for requests, and AWS as the other provider.

Sources: "How Application Default Credentials works", "Set the quota project" (user credentials), "Workload identity
federation with AWS" (Google Cloud); AIP-4117 "External Account Credentials" (the signed request).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from twokey.core.errors import UsageError
from twokey.core.secret import Hidden
from twokey.system import environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.aws.signed_identity import IdentityRequest, SignedRequest

_AWS = "aws1"
_VERIFICATION = "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15"
_TARGET = "x-goog-cloud-target-resource"
FILE_VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"


def default_file() -> Path | None:
    """Return the credentials file that Google's libraries use by default, if there is one.

    That is the one that the variable names, else the one that ``gcloud auth application-default login`` writes.
    """
    named = environment.variable(FILE_VARIABLE)
    if named:
        return Path(named)
    folder = environment.variable("CLOUDSDK_CONFIG")
    known = (Path(folder) if folder else Path("~/.config/gcloud").expanduser()) / "application_default_credentials.json"
    return known if known.is_file() else None


def quota_project(configured: str, found: dict[str, Any] | None) -> str:
    """Return the project whose quota and billing requests count for: the connection's, the variable's, the file's."""
    of_the_file = (found or {}).get("quota_project_id")
    named = configured or environment.variable("GOOGLE_CLOUD_QUOTA_PROJECT")
    return named or (of_the_file if isinstance(of_the_file, str) else "")


def is_aws(source: dict[str, Any]) -> bool:
    """Return whether a ``credential_source`` means the AWS identity that this program runs with."""
    return str(source.get("environment_id", "")).startswith("aws")


def aws_subject(
    source: dict[str, Any], audience: str, sign: Callable[[IdentityRequest], SignedRequest], path: Path | str
) -> Hidden:
    """Return a signed GetCallerIdentity as a subject token: Google sends it to STS, and so learns who signed it."""
    from twokey.aws.signed_identity import IdentityRequest

    if source.get("environment_id") != _AWS:
        raise UsageError(
            f"{path}: twokey does not support the environment_id {source.get('environment_id')}; expected {_AWS}.",
            remedy="Create a new configuration file: gcloud iam workload-identity-pools create-cred-config --aws.",
        )
    url = str(source.get("regional_cred_verification_url") or _VERIFICATION)
    signed = sign(IdentityRequest(url=url, headers={_TARGET: str(audience)}, body=""))
    headers = {**signed.headers, "host": urlsplit(signed.url).netloc}
    listed = [{"key": name, "value": str(value)} for name, value in sorted(headers.items())]
    token = {"url": signed.url, "method": signed.method, "headers": listed}
    return Hidden(quote(json.dumps(token, separators=(",", ":"), sort_keys=True)))
