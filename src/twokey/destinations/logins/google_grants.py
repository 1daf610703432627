"""Tokens of Google Cloud, for each type of credentials.

Sources: "Using OAuth 2.0 for Server to Server Applications" (Google Identity), AIP-4117 "External Account
Credentials", "Method: serviceAccounts.generateAccessToken" (IAM).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from twokey.core.errors import BadCredentials, UsageError
from twokey.core.secret import Hidden
from twokey.destinations.logins import google_sources
from twokey.destinations.logins.google_files import (
    credentials,
    decoded,
    read,
    require_cryptography,
    signed,
    source_of,
    text_of,
)
from twokey.destinations.logins.oauth import granted
from twokey.http.client import Http
from twokey.http.messages import Request
from twokey.http.renewable_token import Grant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from twokey.aws.signed_identity import IdentityRequest, SignedRequest
    from twokey.core.ports import Clock

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
PATIENCE = 120.0
"""Seconds after which a throttled login is given up."""
_TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105  no token
_HOUR = 3600


class Grants:
    """Gets tokens; ``sign`` signs the identity that AWS knows this program by."""

    def __init__(self, clock: Clock, ca: str | None, sign: Callable[[IdentityRequest], SignedRequest]) -> None:
        self._clock = clock
        self._ca = ca
        self._sign = sign

    def login(self, service: str, url: str) -> Http:
        """Return a connection to a service that grants tokens."""
        return Http(service, url, self._clock, ca=self._ca, patience=PATIENCE)

    def of_file(self, path: Path) -> Callable[[], Grant]:
        """Return how to log in with a credentials file; raises ``UsageError`` for one that cannot be used."""
        kind = credentials(path).get("type")
        makers = {
            "service_account": self._service_account,
            "authorized_user": self._authorized_user,
            "external_account": self.external_account,
            "impersonated_service_account": self._impersonated,
        }
        if not isinstance(kind, str) or kind not in makers:
            raise UsageError(
                f"{path}: twokey does not support credentials of the type {kind}.",
                remedy=f"Use one of the types {', '.join(makers)}.",
            )
        if "service_account" in {kind, source_of(credentials(path)).get("type")}:
            require_cryptography()

        def log_in() -> Grant:
            # The file is read at each login, so that a replaced key takes effect.
            try:
                return makers[kind](credentials(path), path)
            except UsageError as error:
                raise BadCredentials(error.message, state="Nothing was sent.", remedy=error.remedy) from None

        return log_in

    def _service_account(self, found: dict[str, Any], path: Path) -> Grant:
        """Sign a JWT with the account's key and change it for a token (RFC 7523)."""
        url = text_of(found, "token_uri", path, _TOKEN_URL)
        now = int(self._clock.now().timestamp())
        email = text_of(found, "client_email", path)
        # The audience is always this one, also where an older file names another address to send the JWT to.
        claims = {"iss": email, "scope": SCOPE, "aud": _TOKEN_URL, "iat": now, "exp": now + _HOUR}
        header = {"alg": "RS256", "typ": "JWT", "kid": text_of(found, "private_key_id", path, "-")}
        assertion = signed(header, claims, text_of(found, "private_key", path), path)
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
        return self._exchange(url, form, str(path))

    def _authorized_user(self, found: dict[str, Any], path: Path) -> Grant:
        names = ("client_id", "client_secret", "refresh_token")
        form = {name: text_of(found, name, path) for name in names}
        url = text_of(found, "token_uri", path, _TOKEN_URL)
        return self._exchange(url, {"grant_type": "refresh_token", **form}, str(path))

    def external_account(self, found: dict[str, Any], path: Path | str, subject: Hidden | None = None) -> Grant:
        """Exchange another provider's token for Google's (RFC 8693), then for a service account's if one is set.

        ``subject`` is that token; by default it comes from the credential_source. ``path`` names where all this is
        configured.
        """
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "audience": text_of(found, "audience", path),
            "scope": SCOPE,
            "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "subject_token": self._subject(found, path) if subject is None else subject,
            "subject_token_type": text_of(found, "subject_token_type", path),
        }
        federated = self._exchange(text_of(found, "token_url", path), form, f"{path} and the workload identity pool")
        impersonated = found.get("service_account_impersonation_url")
        return self._impersonate(impersonated, federated, path) if isinstance(impersonated, str) else federated

    def _impersonated(self, found: dict[str, Any], path: Path) -> Grant:
        """Log in with the credentials inside the file, and get a token of a service account with them."""
        source = source_of(found)
        makers = {
            "service_account": self._service_account,
            "authorized_user": self._authorized_user,
            "external_account": self.external_account,
        }
        kind = source.get("type")
        if not isinstance(kind, str) or kind not in makers:
            raise UsageError(
                f"{path}: twokey does not support source_credentials of the type {kind}.",
                remedy=f"Use one of the types {', '.join(makers)}.",
            )
        url = text_of(found, "service_account_impersonation_url", path)
        delegates = [str(one) for one in found.get("delegates") or ()]
        return self._impersonate(url, makers[kind](source, path), path, delegates)

    def _impersonate(self, url: str, federated: Grant, path: Path | str, delegates: Sequence[str] = ()) -> Grant:
        http, where = self._at("Google's IAM", url)
        request = Request(
            "POST",
            where,
            "grant a service account's token",
            body={"scope": [SCOPE], "lifetime": f"{_HOUR}s", **({"delegates": list(delegates)} if delegates else {})},
            headers={"Authorization": Hidden(f"Bearer {federated.token}")},
            mutates=False,
            secret=True,
        )
        source = (
            f"the service account in {path}: the identity that asks for its token needs "
            "roles/iam.serviceAccountTokenCreator on it, one of a workload identity pool roles/iam.workloadIdentityUser"
        )
        return Grant(granted(http, request, source, token="accessToken").token, _HOUR)  # noqa: S106  a member

    def _subject(self, found: dict[str, Any], path: Path | str) -> Hidden:
        """Return the other provider's token, from a file or a URL; AWS's is made here."""
        source = found.get("credential_source")
        if isinstance(source, dict) and google_sources.is_aws(source):
            return google_sources.aws_subject(source, text_of(found, "audience", path), self._sign, path)
        if not isinstance(source, dict) or not (source.get("file") or source.get("url")):
            raise UsageError(f"{path}: expected a credential_source with file or url, or environment_id for AWS.")
        if source.get("file"):
            text = read(Path(str(source["file"])))
        else:
            http, where = self._at("The provider of the subject token", str(source["url"]))
            headers = {str(name): Hidden(value) for name, value in (source.get("headers") or {}).items()}
            request = Request("GET", where, "return the subject token", headers=headers, mutates=False, secret=True)
            text = http.request(request).body
        layout = source.get("format") or {}
        if layout.get("type") != "json":
            return Hidden(text.strip())
        name = str(layout.get("subject_token_field_name"))
        return text_of(decoded(text) or {}, name, path)

    def _exchange(self, url: str, form: Mapping[str, str], source: str) -> Grant:
        http, where = self._at("Google's token endpoint", url)
        return granted(http, Request("POST", where, "grant a token", form=form, mutates=False, secret=True), source)

    def _at(self, service: str, url: str) -> tuple[Http, str]:
        parts = urlsplit(url)
        where = f"{parts.path}?{parts.query}" if parts.query else parts.path
        return self.login(service, f"{parts.scheme}://{parts.netloc}"), where
