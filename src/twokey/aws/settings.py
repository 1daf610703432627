"""The settings of the AWS SDK that twokey checks before it calls anything, and the order in which they count.

Region and profile come from the variables that version 2 of the AWS CLI and the other AWS SDKs read, in their order
("AWS Region", AWS SDKs and Tools Reference Guide); botocore alone ignores AWS_REGION.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.exceptions import SSLError
from botocore.utils import get_environ_proxies

from twokey.core.errors import UsageError
from twokey.core.secret import Hidden
from twokey.system import environment

if TYPE_CHECKING:
    from collections.abc import Callable

    import botocore.session

REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")
PROFILE_VARIABLES = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")
_SWITCHES = ("AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT")
_NUMBERS = ("AWS_METADATA_SERVICE_TIMEOUT", "AWS_METADATA_SERVICE_NUM_ATTEMPTS", "AWS_MAX_ATTEMPTS")
_TEXTS = (
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN"),
    *(*REGION_VARIABLES, *PROFILE_VARIABLES, "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CA_BUNDLE"),
    *("AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CREDENTIAL_EXPIRATION"),
    *("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
    *("AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
    *("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_IAM", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_SECRETS_MANAGER"),
    *("AWS_ENDPOINT_URL_SSM", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_S3"),
    *("AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"),
)
"""The variables whose values never begin or end with white space or quotation marks."""
_QUOTES = "\"'"


def variables() -> dict[str, tuple[str | None, list[str], None, None]]:
    """Return the variables that a botocore session reads its region and profile from; empty ones do not count."""
    found = {"region": ("region", REGION_VARIABLES), "profile": (None, PROFILE_VARIABLES)}
    return {
        name: (setting, [one for one in names if environment.variable(one)], None, None)
        for name, (setting, names) in found.items()
    }


def flaw_of(value: str) -> str:
    """Return what is wrong at the ends of a text, or with its lines; empty if nothing is. The text may be a secret."""
    if "\n" in value or "\r" in value:
        return "a line end"
    if value != value.strip():
        return "white space at its beginning or end"
    if len(value) > 1 and value[0] == value[-1] and value[0] in _QUOTES:
        return "quotation marks"
    return ""


def check(session: botocore.session.Session) -> None:
    """Raise ``UsageError`` for a variable or a file of CA certificates that cannot be used."""
    for name in _TEXTS:
        if flaw := flaw_of(Hidden(environment.variable(name))):
            raise UsageError(f"{name} contains {flaw}.", remedy=f"Set {name} without it.")
    for name in _NUMBERS:
        if (number := environment.variable(name)) and not number.strip().isdecimal():
            raise UsageError(f"{name}: expected a number, not {number!r}.", remedy=f"Correct {name}, or unset it.")
    _check_switches(session)
    _check_bundle(session, _find_certificate)


def _check_switches(session: botocore.session.Session) -> None:
    """Raise ``UsageError`` for a word that botocore would silently take for false."""
    try:
        profile: Any = session.get_scoped_config()
    except Exception:  # noqa: BLE001  the first client raises it, and it is reported with its cause there
        profile = {}
    for name in _SWITCHES:
        setting = name.removeprefix("AWS_").lower()
        for source, value in (
            (name, environment.variable(name)),
            (f"{setting} of the AWS profile", profile.get(setting)),
        ):
            if value and str(value).lower() not in {"true", "false"}:
                raise UsageError(f"{source}: expected true or false, not {value!r}.", remedy=f"Correct {source}.")


def refuse_bundle(session: botocore.session.Session, caught_exception: Exception | None = None, **_: Any) -> None:
    """Raise ``UsageError`` for damaged CA certificates after TLS has failed; a handler of ``needs-retry``.

    They are read when a connection is made, which takes some 30 ms, so they are not read in advance as well.
    """
    if isinstance(caught_exception, SSLError):
        _check_bundle(session, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations)


def _check_bundle(session: botocore.session.Session, read: Callable[[str], None]) -> None:
    """Raise ``UsageError`` for CA certificates that cannot be read: no connection to AWS would succeed."""
    try:
        bundle: Any = session.get_config_variable("ca_bundle")
    except Exception:  # noqa: BLE001  the first client raises it, and it is reported with its cause there
        return
    source = "AWS_CA_BUNDLE" if environment.variable("AWS_CA_BUNDLE") else "ca_bundle of the AWS profile"
    if bundle is None:
        bundle, source = environment.variable("REQUESTS_CA_BUNDLE"), "REQUESTS_CA_BUNDLE"
    if not bundle:
        return
    try:
        read(bundle)
    except ssl.SSLError:
        why = "expected certificates in PEM"
    except OSError as error:
        why = str(error.strerror)
    else:
        return
    raise UsageError(
        f"The CA certificates in {bundle} ({source}) cannot be read: {why}.",
        state="The request was not sent.",
        remedy=f"Let {source} name a file of certificates in PEM, or remove it.",
    )


def _find_certificate(bundle: str) -> None:
    """Raise ``OSError`` for a file that cannot be read, or has no certificate in PEM."""
    with Path(bundle).open("rb") as stream:
        if not any(line.startswith(b"-----BEGIN ") for line in stream):
            raise ssl.SSLError


class ProxyCheck:
    """A handler of ``before-send`` that refuses a proxy that the AWS SDK cannot use.

    Each host is looked up once: a client keeps the proxy that it was created with.
    """

    def __init__(self) -> None:
        self._passed: set[str] = set()

    def __call__(self, **event: Any) -> None:
        """Raise ``UsageError`` for a request by such a proxy."""
        url = event["request"].url
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin in self._passed:
            return
        proxy = str(get_environ_proxies(url).get(parts.scheme) or "")
        if not proxy or _is_usable(proxy):
            self._passed.add(origin)
            return
        name = f"{parts.scheme.upper()}_PROXY"
        raise UsageError(
            f"{name} is not the URL of a proxy that twokey can use.",
            state="The request was not sent.",
            remedy=f"Set {name} to http://HOST:PORT or https://HOST:PORT. SOCKS is not supported.",
        )


def _is_usable(proxy: str) -> bool:
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy.lstrip('/')}")
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(host) and proxy.isascii() and not flaw_of(proxy)
