"""Sentences about credentials that could not be had: each failure of botocore's provider chain, its cause and its fix.

The sources of credentials are those of "Standardized credential providers" (AWS SDKs and Tools Reference Guide).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore import credentials as sources
from botocore import exceptions as boto
from botocore.tokens import SSOTokenProvider

from twokey.aws import network
from twokey.aws.credentials import CREDENTIAL_SOURCES
from twokey.aws.failure import Failure, first_line, sentence, unreadable
from twokey.aws.profiles import Profiles
from twokey.aws.role_failures import refused
from twokey.aws.settings import PROFILE_VARIABLES, flaw_of
from twokey.aws.source_failures import of_source, purpose_of, source_of
from twokey.core.errors import CredentialsUnavailable
from twokey.core.secret import Hidden
from twokey.system import environment

if TYPE_CHECKING:
    from collections.abc import Callable

    import botocore.session

_PARTS = {"access_key": "access key ID", "secret_key": "secret access key", "token": "session token"}
_ORIGINS = {
    sources.EnvProvider.METHOD: "the environment",
    sources.ProcessProvider.METHOD: "the credential_process",
    sources.SharedCredentialProvider.METHOD: "the shared credentials file",
    sources.ConfigProvider.METHOD: "the AWS configuration file",
    sources.ContainerProvider.METHOD: "the container's credential service",
    sources.InstanceMetadataProvider.METHOD: "the instance metadata service",
}
_NO_URL = ("Invalid endpoint", "Invalid IPv6 URL")
"""How the errors of botocore and of Python about an endpoint that is no URL begin."""
_ENDPOINTS = "Check the endpoints that are configured for single services, such as AWS_ENDPOINT_URL_SSO."
_SIGN_IN = "A scheduler cannot sign in: use a role there."


def unavailable(error: Exception, session: botocore.session.Session, method: str = "") -> CredentialsUnavailable:
    """Return the error for a failure of the provider chain; ``method`` is botocore's name of the source, if known.

    Of a program's output and of a metadata service's response, nothing is quoted: both may contain a secret.
    """
    profiles, source = Profiles(session), source_of(error)
    if isinstance(error, boto.ClientError):
        return as_error(refused(error, profiles))
    found = (
        _of_signing_in(error, source, profiles)
        or _of_configuration(error, profiles)
        or _of_network(error, source)
        or of_source(error, source, method, profiles)
        or _of_files(error)
    )
    check = f"Check the AWS configuration (AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE) and {profiles.described}."
    unforeseen = f"{purpose_of(source)} ended with an unexpected error ({type(error).__name__})."
    return as_error(found or Failure(unforeseen, check))


def none_found(session: botocore.session.Session) -> CredentialsUnavailable:
    """Return the error for a chain in which no source has credentials."""
    if failure := _no_file():
        return as_error(failure)
    profiles = Profiles(session)
    where = profiles.described if profiles.exists else "a profile"
    return CredentialsUnavailable(
        f"No AWS credentials were found: neither in the environment, nor in {where}, nor as a role of this container "
        "or instance.",
        state="Nothing was called.",
        remedy=CREDENTIAL_SOURCES,
    )


def _no_file() -> Failure | None:
    """Explain a variable that names no file: botocore takes it for an empty one."""
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        file = environment.variable(name)
        if file and not Path(file).is_file() and file != os.devnull:
            return Failure(f"{name} names {file}, which is not a file.", f"Correct {name}, or unset it.")
    return None


class Frozen:
    """Holds key id, secret and token as botocore returns them: their own ``repr`` would show them in a traceback."""

    value: Any


def malformed(frozen: Frozen, method: str) -> CredentialsUnavailable | None:
    """Return the error for credentials that no request can be signed with, such as an id that ends with a line end."""
    for part, name in _PARTS.items():
        # A program may print any JSON value. No variable holds one that is not Hidden.
        if getattr(frozen.value, part) in (None, ""):
            flaw = "" if part == "token" else "is missing"
        elif isinstance(getattr(frozen.value, part), str):
            flaw = _flaw(Hidden(getattr(frozen.value, part)))
        else:
            flaw = "is not text"
        if flaw:
            origin = _ORIGINS.get(method, "the AWS profile")
            return as_error(Failure(f"the {name} from {origin} {flaw}.", "Copy it again, exactly."))
    return None


def _flaw(part: Hidden) -> str:
    """Return what is wrong with a part of credentials, ending a sentence."""
    flaw = flaw_of(part) or ("" if part.isascii() and part.isprintable() else "an invalid character")
    return f"contains {flaw}" if flaw else ""


def as_error(failure: Failure) -> CredentialsUnavailable:
    """Return the error for a failure."""
    return CredentialsUnavailable(
        f"No usable AWS credentials: {failure.problem}", state="The request was not sent.", remedy=failure.remedy
    )


def _of_signing_in(error: Exception, source: object | None, profiles: Profiles) -> Failure | None:
    """Explain a session that the operator has to begin: of SSO, of ``aws login``, or with MFA."""
    broken = isinstance(error, (KeyError, TypeError, ValueError)) and not str(error).startswith(_NO_URL)
    if isinstance(error, (boto.SSOError, boto.TokenRetrievalError)) or (
        broken and isinstance(source, (sources.SSOCredentialFetcher, SSOTokenProvider))
    ):
        profile = profiles.with_setting("sso_session", "sso_start_url")
        return Failure(
            f"the SSO session of the profile {profile!r} has expired, or was never begun.",
            f"Sign in: aws sso login --profile {profile}. Then run again. {_SIGN_IN}",
        )
    if isinstance(error, boto.LoginInsufficientPermissions):
        problem = "the principal that signed in with aws login may not renew the session."
        return Failure(problem, "Allow signin:CreateOAuth2Token for it, or sign in again with aws login.")
    if isinstance(error, boto.LoginError) or (broken and isinstance(source, sources.LoginCredentialFetcher)):
        profile = profiles.with_setting("login_session")
        return Failure(
            f"the session of aws login of the profile {profile!r} has ended, or was never begun.",
            f"Sign in: aws login --profile {profile}. Then run again. {_SIGN_IN}",
        )
    if isinstance(error, boto.RefreshWithMFAUnsupportedError):
        return Failure(
            "the session with MFA has ended, and cannot be renewed without another code.",
            "Run again and enter a code. For a long run, raise duration_seconds in the profile, or use a role that "
            "does not require MFA.",
        )
    return None


def _of_configuration(error: Exception, profiles: Profiles) -> Failure | None:
    """Explain a configuration that is missing something, or that contradicts itself."""
    explain = next((how for kind, how in _CONFIGURATION.items() if isinstance(error, kind)), None)
    return explain(error, profiles) if explain else None


def _no_profile(_error: Any, profiles: Profiles) -> Failure:
    variable = environment.first_set(PROFILE_VARIABLES) or PROFILE_VARIABLES[0]
    return _no_file() or Failure(
        f"there is no profile {profiles.name!r}, which {variable} names.",
        f"Correct {variable}, or add the profile to the AWS configuration (aws configure list-profiles).",
    )


def _unparsable(error: Any, _profiles: Profiles) -> Failure:
    return Failure(sentence(first_line(error)), f"Correct {error.kwargs.get('path')}.")


def _partial(error: Any, profiles: Profiles) -> Failure:
    missing, where = error.kwargs.get("cred_var"), error.kwargs.get("provider")
    source = "the environment" if where == sources.EnvProvider.METHOD else profiles.described
    return Failure(f"{source} lacks {missing}.", f"Set {missing} there, or remove the other settings.")


def _invalid(error: Any, profiles: Profiles) -> Failure:
    files = "(AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE)"
    return Failure(sentence(first_line(error)), f"Correct {profiles.described} in the AWS configuration {files}.")


def _no_package(_error: Any, profiles: Profiles) -> Failure:
    profile = profiles.with_setting("login_session")
    return Failure(
        f"the session of aws login of the profile {profile!r} needs the package awscrt, which is not installed.",
        "Install it beside twokey: pip install 'botocore[crt]'.",
    )


def _no_region(_error: Any, profiles: Profiles) -> Failure:
    problem = "no AWS region is set, so there is no endpoint to get them from."
    return Failure(problem, f"Set AWS_REGION, or region in {profiles.described}.")


def _no_metadata(error: Any, _profiles: Profiles) -> Failure:
    mode = "_MODE" if isinstance(error, boto.InvalidIMDSEndpointModeError) else ""
    variable = f"AWS_EC2_METADATA_SERVICE_ENDPOINT{mode}"
    return Failure(f"{variable} is not valid.", f"Correct {variable}, or its setting in the profile; or unset it.")


def _no_endpoint(error: Any, _profiles: Profiles) -> Failure:
    names = "AWS_REGION, AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT and AWS_ENDPOINT_URL"
    return Failure(sentence(first_line(error)), f"Check {names}.")


def _bad_setting(error: Any, profiles: Profiles) -> Failure:
    return Failure(sentence(first_line(error)), f"Correct it in the environment (AWS_…) or in {profiles.described}.")


_CONFIGURATION: dict[type[Exception], Callable[[Any, Profiles], Failure]] = {
    boto.ProfileNotFound: _no_profile,
    boto.ConfigParseError: _unparsable,
    boto.PartialCredentialsError: _partial,
    boto.UnknownCredentialError: _invalid,
    boto.InvalidConfigError: _invalid,
    boto.MissingDependencyException: _no_package,
    boto.NoRegionError: _no_region,
    boto.InvalidIMDSEndpointError: _no_metadata,
    boto.InvalidIMDSEndpointModeError: _no_metadata,
    boto.BaseEndpointResolverError: _no_endpoint,
    boto.EndpointProviderError: _no_endpoint,
    boto.InvalidRegionError: _no_endpoint,
    boto.InvalidRetryConfigurationError: _bad_setting,
    boto.InvalidDefaultsMode: _bad_setting,
    boto.InvalidSTSRegionalEndpointsConfigError: _bad_setting,
    boto.InvalidS3UsEast1RegionalEndpointConfigError: _bad_setting,
    boto.InvalidChecksumConfigError: _bad_setting,
}
"""The first entry that an error is an instance of explains it."""


def _of_network(error: Exception, source: object | None) -> Failure | None:
    """Explain a service that supplies credentials and that cannot be reached, or does not respond."""
    what = purpose_of(source)
    if isinstance(error, ValueError) and str(error).startswith(_NO_URL):
        return Failure(f"{what}: the endpoint is not a URL.", _ENDPOINTS)
    if failed := network.unreachable(error, what, first_line(error)):
        return Failure(failed.message, failed.remedy)
    if isinstance(error, (boto.HTTPClientError, boto.ConnectionError)):
        url = error.kwargs.get("endpoint_url", "")
        at = f" from {url}" if url else ""
        return Failure(
            f"{what}: no valid response arrived{at}.", "Check the network and proxy settings, then run again."
        )
    return None


def _of_files(error: Exception) -> Failure | None:
    """Explain a file of the AWS configuration that cannot be read."""
    if isinstance(error, OSError) and error.filename:
        return Failure(f"{unreadable(error)}.", "Give the user that runs twokey access to it.")
    return None
