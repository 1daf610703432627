"""Sentences about the sources of credentials that are no service of AWS: a program, a container, a file, a variable."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

from botocore import credentials as sources
from botocore import exceptions as boto
from botocore.tokens import SSOTokenProvider
from botocore.utils import FileWebIdentityTokenLoader

from twokey.aws.failure import Failure, unreadable
from twokey.system import environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from twokey.aws.profiles import Profiles

_CONTAINER = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
_EXPIRED = "credentials were refreshed, but"
"""How botocore's error begins if the credentials that a source returns have already expired."""
_OUTPUT = ("Unsupported version", "Missing required key")
"""How botocore's errors about the JSON object that a program printed begin."""
_SETTINGS = {
    "RoleArn": "role_arn",
    "RoleSessionName": "role_session_name",
    "DurationSeconds": "duration_seconds",
    "ExternalId": "external_id",
    "SerialNumber": "mfa_serial",
}
"""The settings of a profile that become the parameters of AssumeRole."""
_VARIABLES = {"RoleArn": "AWS_ROLE_ARN", "RoleSessionName": "AWS_ROLE_SESSION_NAME"}
"""The variables that come before those settings where a web identity token is used."""
_SOURCES = (
    sources.ProcessProvider,
    sources.ContainerProvider,
    sources.EnvProvider,
    sources.SSOCredentialFetcher,
    sources.LoginCredentialFetcher,
    sources.AssumeRoleWithWebIdentityCredentialFetcher,
    sources.AssumeRoleCredentialFetcher,
    SSOTokenProvider,
    FileWebIdentityTokenLoader,
)


def source_of(error: Exception) -> object | None:
    """Return the innermost source of credentials that an error passed: many errors do not say where they come from."""
    found = (frame.tb_frame.f_locals.get("self") for frame in reversed(list(_frames(error.__traceback__))))
    return next((one for one in found if isinstance(one, _SOURCES)), None)


def _frames(trace: TracebackType | None) -> Iterator[TracebackType]:
    while trace is not None:
        yield trace
        trace = trace.tb_next


def purpose_of(source: object | None) -> str:
    """Return what twokey does with a source, as the subject of a sentence."""
    match source:
        case sources.AssumeRoleWithWebIdentityCredentialFetcher():
            return "assuming the role with the web identity token (sts:AssumeRoleWithWebIdentity)"
        case sources.AssumeRoleCredentialFetcher():
            return "assuming the role (sts:AssumeRole)"
        case sources.SSOCredentialFetcher() | SSOTokenProvider():
            return "getting credentials from IAM Identity Center (SSO)"
        case sources.LoginCredentialFetcher():
            return "renewing the session of aws login"
    return "looking for credentials"


def of_source(error: Exception, source: object | None, method: str, profiles: Profiles) -> Failure | None:
    """Explain an error by the source that it comes from; None if the source does not explain it."""
    expired = isinstance(error, RuntimeError) and str(error).lower().startswith(_EXPIRED)
    if isinstance(source, sources.EnvProvider) or (expired and method == sources.EnvProvider.METHOD):
        problem = "the credentials in the environment have ended" if expired else "expected a time in ISO 8601"
        return Failure(f"AWS_CREDENTIAL_EXPIRATION: {problem}.", "Set new credentials in the environment, or unset it.")
    if isinstance(source, sources.ProcessProvider) or (expired and method == sources.ProcessProvider.METHOD):
        return _of_process(error, profiles, expired=expired)
    if isinstance(source, sources.ContainerProvider) or method == sources.ContainerProvider.METHOD:
        return _of_container(error, expired=expired)
    if isinstance(error, boto.ParamValidationError):
        return _of_setting(error, source, profiles)
    if isinstance(source, FileWebIdentityTokenLoader):
        return _of_token_file(error, profiles)
    return _of_instance(error, method, profiles)


def _of_instance(error: Exception, method: str, profiles: Profiles) -> Failure | None:
    if method == sources.InstanceMetadataProvider.METHOD:
        return Failure(
            "the instance metadata service no longer supplies the credentials of the instance's role.",
            "Check that the instance still has the role. A container needs a hop limit of 2 (HttpPutResponseHopLimit).",
        )
    if isinstance(error, boto.CredentialRetrievalError):
        where = profiles.setting("credential_source") or error.kwargs.get("provider")
        return Failure(
            f"the source {where} has no credentials here.",
            f"Correct credential_source in {profiles.described}: it says where this program runs.",
        )
    return None


def _of_process(error: Exception, profiles: Profiles, *, expired: bool) -> Failure:
    profile = profiles.with_setting("credential_process")
    what = f"the credential_process of the profile {profile!r}"
    if expired:
        return Failure(f"{what} returned credentials that have expired.", "Run it in a shell to see why.")
    if isinstance(error, FileNotFoundError | PermissionError):
        return Failure(
            f"{what} cannot be started: {unreadable(error)}.",
            f"Write the whole path of the program into the profile {profile!r}, and make it executable.",
        )
    if isinstance(error, subprocess.TimeoutExpired):
        return Failure(
            f"{what} was not done after {error.timeout:.0f} seconds, and was stopped.",
            "Run it in a shell to see what it waits for. A scheduler cannot enter a code or use a browser: use a role "
            "there.",
        )
    if isinstance(error, boto.CredentialRetrievalError) and not _is_of_output(error):
        return Failure(f"{what} failed.", "Run it in a shell to see why.")
    return Failure(
        f"{what} did not print what it must.",
        "Run it in a shell: expected is a JSON object with Version 1, AccessKeyId and SecretAccessKey.",
    )


def _is_of_output(error: boto.CredentialRetrievalError) -> bool:
    """Return whether botocore rejects what a program printed: it has the same error for one that fails."""
    return str(error.kwargs.get("error_msg", "")).startswith(_OUTPUT)


def _of_container(error: Exception, *, expired: bool) -> Failure:
    variable = environment.first_set(_CONTAINER) or _CONTAINER[0]
    service = f"the container's credential service ({variable})"
    if isinstance(error, OSError) and error.filename:
        return Failure(
            f"the token for {service}: {unreadable(error)}.", "Correct AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE."
        )
    if isinstance(error, ValueError) and str(error).startswith("Auth token"):
        return Failure(
            f"the token for {service} contains a line end.",
            "Write it without one to AWS_CONTAINER_AUTHORIZATION_TOKEN, or to the file of its _FILE variable.",
        )
    if isinstance(error, ValueError) and str(error).startswith("Unsupported host"):
        return Failure(f"{service} has a host that the AWS SDKs do not use without TLS.", f"Correct {variable}.")
    status = re.search(r"non 200 response (\d{3})", str(error))
    how = f"responded with {status[1]}" if status else "did not supply any"
    if expired:
        how = "returned credentials that have expired"
    return Failure(f"{service} {how}.", f"Check the role of the task or pod; {variable} is set by its platform.")


def _of_setting(error: Exception, source: object | None, profiles: Profiles) -> Failure:
    """Explain a parameter of AssumeRole that the SDK rejects. Its value is not shown: it may be a token."""
    parameter = re.search(r"parameter (\w+)", str(error))
    name = parameter[1] if parameter else ""
    if name == "WebIdentityToken":
        return _of_token_file(error, profiles)
    variable = _VARIABLES.get(name, "")
    by_token = isinstance(source, sources.AssumeRoleWithWebIdentityCredentialFetcher)
    if variable and by_token and environment.variable(variable):
        return Failure(f"{variable} is not valid.", f"Correct {variable}.")
    setting = _SETTINGS.get(name, name)
    profile = profiles.with_setting(setting)
    return Failure(f"{setting} of the profile {profile!r} is not valid.", f"Correct {setting}.")


def _of_token_file(error: Exception, profiles: Profiles) -> Failure:
    variable = "AWS_WEB_IDENTITY_TOKEN_FILE"
    file = environment.variable(variable) or profiles.setting("web_identity_token_file")
    name = variable if environment.variable(variable) else f"web_identity_token_file of {profiles.described}"
    why = unreadable(error) if isinstance(error, OSError) else f"{file} does not contain a token"
    return Failure(
        f"the web identity token cannot be read: {why}.",
        f"It is named by {name}. In a pod, give its service account the role, so that the token is mounted.",
    )
