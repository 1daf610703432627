"""How Google Cloud is reached: with a token, a credentials file, or the metadata server of the machine.

Sources: "Using OAuth 2.0 for Server to Server Applications" (Google Identity), AIP-4117 "External Account
Credentials", "Method: serviceAccounts.generateAccessToken" (IAM), "About VM metadata" (Compute Engine), AIP-193
"Errors".
"""

from __future__ import annotations

import base64
import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import msgspec

from twokey.core.errors import AccessDenied, BadCredentials, Failed, ServiceRejected, UsageError
from twokey.core.secret import Hidden
from twokey.destinations import connections
from twokey.destinations.connections import ConnectionKind
from twokey.destinations.logins import google_sources
from twokey.destinations.logins.oauth import granted
from twokey.destinations.sources import LONGEST_SECRET, Source
from twokey.http.client import Http
from twokey.http.messages import Request, Response
from twokey.http.rate_limits import Limit
from twokey.http.renewable_token import Grant, RenewableToken

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from twokey.destinations.connections import ConnectionContext

PUBLIC = "https://secretmanager.googleapis.com"
REGIONAL = "https://secretmanager.{location}.rep.googleapis.com"
"""Where the secrets of one location are ("Secret Manager endpoints"); they are nowhere else."""
_LOCATION = "{location}"
METADATA = "http://169.254.169.254"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
LIMITS = (Limit(600, 60),)
"""Writes of one project ("Quotas and limits", Secret Manager)."""
_TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105  no token
_STS = "https://sts.googleapis.com/v1/token"
_IAM = "https://iamcredentials.googleapis.com"
_JWT = "urn:ietf:params:oauth:token-type:jwt"
_HOUR = 3600
_PATIENCE = 120.0
_UNREADABLE = "is not a credentials file: expected a JSON object with the member type"


class WorkloadIdentity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Workload identity federation without a credentials file: a provider, and a service account to act as."""

    provider: Annotated[
        str,
        msgspec.Meta(
            description="The provider: projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/NAME.",
            pattern="^projects/[^/]+/locations/[^/]+/workloadIdentityPools/[^/]+/providers/[^/]+$",
        ),
    ]
    service_account: Annotated[
        str, msgspec.Meta(description="The email address of the service account, unless the pool has access itself.")
    ] = ""
    token: Annotated[
        Source | None,
        msgspec.Meta(description="The token to exchange; by default one of the CI system, for the provider."),
    ] = None
    sts: Annotated[str, msgspec.Meta(description="The URL that exchanges tokens; by default Google's.")] = _STS
    iam: Annotated[str, msgspec.Meta(description="The address of the IAM Credentials API; by default Google's.")] = _IAM


class Settings(connections.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How Google Cloud is reached: ``token``, ``credentials``, ``workload_identity``, or Google's default credentials.

    In ``url``, ``{location}`` stands for the location of a regional secret.
    """

    token: Annotated[Source | None, msgspec.Meta(description="An access token.")] = None
    credentials: Annotated[str, msgspec.Meta(description="The path of a credentials file (JSON).")] = ""
    workload_identity: Annotated[
        WorkloadIdentity | None, msgspec.Meta(description="Federation with a token of the CI system.")
    ] = None
    quota_project: Annotated[
        str, msgspec.Meta(description="The project whose quota and billing requests count for.")
    ] = ""
    metadata: Annotated[str, msgspec.Meta(description="The metadata server's URL; by default the standard one.")] = ""


class Google:
    """Secret Manager, accessed with one identity."""

    def __init__(self, settings: Settings, context: ConnectionContext) -> None:
        self.clock = context.clock
        self._ca = settings.ca or None
        self._url = settings.url
        self._insecure_http = settings.insecure_http
        self._sign = context.sign_identity
        file = self._credentials_file(settings)
        self._access, self._source = self._token(settings, context, file)
        payer = google_sources.quota_project(settings.quota_project, _credentials(file) if file else None)
        self._payer = {"x-goog-user-project": payer} if payer else {}
        self._endpoints: dict[str, Http] = {}
        self._lock = threading.Lock()

    def at(self, location: str) -> Http:
        """Return the connection to the endpoint of a location, or to the global one."""
        with self._lock:
            if location not in self._endpoints:
                url = self._url or (REGIONAL if location else PUBLIC)
                self._endpoints[location] = self._secret_manager(url.replace(_LOCATION, location).rstrip("/"))
            return self._endpoints[location]

    def _secret_manager(self, url: str) -> Http:
        return Http(
            "Google Secret Manager",
            url,
            self.clock,
            headers=lambda: {"Authorization": f"Bearer {self._access.value()}", **self._payer},
            renew=self._access.renew,
            limits=LIMITS,
            ca=self._ca,
            insecure_http=self._insecure_http,
            explain=_explain,
            token=self._source,
            patience=_PATIENCE,
        )

    def _credentials_file(self, settings: Settings) -> Path | None:
        if settings.token is not None:
            return None
        if settings.credentials:
            return Path(settings.credentials)
        return None if settings.metadata or settings.workload_identity else google_sources.default_file()

    def _token(self, settings: Settings, context: ConnectionContext, file: Path | None) -> tuple[RenewableToken, str]:
        if settings.token is not None:
            secret = context.secret(settings.token)
            return secret, f"a valid access token (in {secret})"
        if file is not None:
            log_in = self._file(file)
            source = f"a valid credentials file ({file})"
            return RenewableToken(log_in, source, self.clock), source
        if settings.workload_identity is not None:
            return self._federated(settings.workload_identity, context)
        http = self._login("The metadata server", settings.metadata or METADATA)
        request = Request(
            "GET",
            "/computeMetadata/v1/instance/service-accounts/default/token",
            "grant a token",
            headers={"Metadata-Flavor": "Google"},
            mutates=False,
            secret=True,
        )
        source = (
            "the machine's service account, or set a token or a credentials file under connections: gcp:, or run "
            "`gcloud auth application-default login`"
        )
        machine = "a service account for this machine"
        return RenewableToken(lambda: granted(http, request, source), machine, self.clock), machine

    def _federated(self, identity: WorkloadIdentity, context: ConnectionContext) -> tuple[RenewableToken, str]:
        """Return a login by federation: what a credentials file of the type external_account would contain."""
        name = f"iam.googleapis.com/{identity.provider}"
        source = identity.token or Source(oidc=f"https://{name}")
        secret = context.secret(source, "workload_identity.token")
        found = {"audience": f"//{name}", "subject_token_type": _JWT, "token_url": identity.sts}
        if identity.service_account:
            account = f"/v1/projects/-/serviceAccounts/{identity.service_account}:generateAccessToken"
            found["service_account_impersonation_url"] = f"{identity.iam.rstrip('/')}{account}"
        label = f"workload_identity of {context.at or context.name}"
        needed = f"a valid token (in {secret}) that the provider {identity.provider} accepts"
        return (
            RenewableToken(lambda: self._external_account(found, label, secret.latest()), needed, self.clock),
            needed,
        )

    def _login(self, service: str, url: str) -> Http:
        return Http(service, url, self.clock, ca=self._ca, patience=_PATIENCE)

    def _file(self, path: Path) -> Callable[[], Grant]:
        kind = _credentials(path).get("type")
        makers = {
            "service_account": self._service_account,
            "authorized_user": self._authorized_user,
            "external_account": self._external_account,
            "impersonated_service_account": self._impersonated,
        }
        if not isinstance(kind, str) or kind not in makers:
            raise UsageError(
                f"{path}: twokey does not support credentials of the type {kind}.",
                remedy=f"Use one of the types {', '.join(makers)}.",
            )
        if "service_account" in {kind, _source_of(_credentials(path)).get("type")}:
            _require_cryptography()

        def log_in() -> Grant:
            # The file is read at each login, so that a replaced key takes effect.
            try:
                return makers[kind](_credentials(path), path)
            except UsageError as error:
                raise BadCredentials(error.message, state="Nothing was sent.", remedy=error.remedy) from None

        return log_in

    def _service_account(self, found: dict[str, Any], path: Path) -> Grant:
        """Sign a JWT with the account's key and change it for a token (RFC 7523)."""
        url = _text(found, "token_uri", path, _TOKEN_URL)
        now = int(self.clock.now().timestamp())
        email = _text(found, "client_email", path)
        # The audience is always this one, also where an older file names another address to send the JWT to.
        claims = {"iss": email, "scope": SCOPE, "aud": _TOKEN_URL, "iat": now, "exp": now + _HOUR}
        header = {"alg": "RS256", "typ": "JWT", "kid": _text(found, "private_key_id", path, "-")}
        assertion = _signed(header, claims, _text(found, "private_key", path), path)
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
        return self._exchange(url, form, str(path))

    def _authorized_user(self, found: dict[str, Any], path: Path) -> Grant:
        names = ("client_id", "client_secret", "refresh_token")
        form = {name: _text(found, name, path) for name in names}
        url = _text(found, "token_uri", path, _TOKEN_URL)
        return self._exchange(url, {"grant_type": "refresh_token", **form}, str(path))

    def _external_account(self, found: dict[str, Any], path: Path | str, subject: Hidden | None = None) -> Grant:
        """Exchange another provider's token for Google's (RFC 8693), then for a service account's if one is set.

        ``subject`` is that token; by default it comes from the credential_source. ``path`` names where all this is
        configured.
        """
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "audience": _text(found, "audience", path),
            "scope": SCOPE,
            "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "subject_token": self._subject(found, path) if subject is None else subject,
            "subject_token_type": _text(found, "subject_token_type", path),
        }
        federated = self._exchange(_text(found, "token_url", path), form, f"{path} and the workload identity pool")
        impersonated = found.get("service_account_impersonation_url")
        return self._impersonate(impersonated, federated, path) if isinstance(impersonated, str) else federated

    def _impersonated(self, found: dict[str, Any], path: Path) -> Grant:
        """Log in with the credentials inside the file, and get a token of a service account with them."""
        source = _source_of(found)
        makers = {
            "service_account": self._service_account,
            "authorized_user": self._authorized_user,
            "external_account": self._external_account,
        }
        kind = source.get("type")
        if not isinstance(kind, str) or kind not in makers:
            raise UsageError(
                f"{path}: twokey does not support source_credentials of the type {kind}.",
                remedy=f"Use one of the types {', '.join(makers)}.",
            )
        url = _text(found, "service_account_impersonation_url", path)
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
            return google_sources.aws_subject(source, _text(found, "audience", path), self._sign, path)
        if not isinstance(source, dict) or not (source.get("file") or source.get("url")):
            raise UsageError(f"{path}: expected a credential_source with file or url, or environment_id for AWS.")
        if source.get("file"):
            text = _read(Path(str(source["file"])))
        else:
            http, where = self._at("The provider of the subject token", str(source["url"]))
            headers = {str(name): Hidden(value) for name, value in (source.get("headers") or {}).items()}
            request = Request("GET", where, "return the subject token", headers=headers, mutates=False, secret=True)
            text = http.request(request).body
        layout = source.get("format") or {}
        if layout.get("type") != "json":
            return Hidden(text.strip())
        name = str(layout.get("subject_token_field_name"))
        return _text(_object(text) or {}, name, path)

    def _exchange(self, url: str, form: Mapping[str, str], source: str) -> Grant:
        http, where = self._at("Google's token endpoint", url)
        return granted(http, Request("POST", where, "grant a token", form=form, mutates=False, secret=True), source)

    def _at(self, service: str, url: str) -> tuple[Http, str]:
        parts = urlsplit(url)
        where = f"{parts.path}?{parts.query}" if parts.query else parts.path
        return self._login(service, f"{parts.scheme}://{parts.netloc}"), where


def _explain(request: Request, response: Response) -> Failed | None:
    """Distinguish the errors that Google reports as 403 by the reasons in their details (AIP-193)."""
    reasons = reasons_of(response)
    state = "Nothing was written there." if request.mutates else ""
    if "SERVICE_DISABLED" in reasons:
        return ServiceRejected(
            f"Google Secret Manager cannot {request.description}: its API is not enabled in the project.",
            state=state,
            remedy="Enable it: gcloud services enable secretmanager.googleapis.com. With the credentials of a user, it "
            "has to be enabled in the quota project: set `quota_project` in the connection.",
        )
    if "USER_PROJECT_DENIED" in reasons:
        return AccessDenied(
            request.description,
            "Google Secret Manager",
            remedy="The identity needs serviceusage.services.use (roles/serviceusage.serviceUsageConsumer) on the "
            "quota project; or name another one: `quota_project` in the connection, GOOGLE_CLOUD_QUOTA_PROJECT.",
        )
    if "ACCESS_TOKEN_SCOPE_INSUFFICIENT" in reasons:
        return AccessDenied(request.description, "Google Secret Manager", remedy=f"The token needs the scope {SCOPE}.")
    return None


def reasons_of(response: Response) -> set[str]:
    """Return an error's status, such as FAILED_PRECONDITION, and the reasons in its details."""
    found = response.json()
    error = found.get("error") if isinstance(found, dict) else None
    if response.good or not isinstance(error, dict):
        return set()
    details = [one for one in error.get("details") or [] if isinstance(one, dict)]
    return {str(one["reason"]) for one in details if "reason" in one} | {str(error.get("status", ""))}


def _credentials(path: Path) -> dict[str, Any]:
    found = _object(_read(path))
    if found is None or "type" not in found:
        raise UsageError(f"{path} {_UNREADABLE}.", remedy="Name a credentials file of Google Cloud.")
    return found


def _source_of(found: dict[str, Any]) -> dict[str, Any]:
    source = found.get("source_credentials")
    return source if isinstance(source, dict) else {}


def _read(path: Path) -> Hidden:
    try:
        with path.open(encoding="utf-8") as stream:
            return Hidden(stream.read(LONGEST_SECRET))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise UsageError(f"{path} cannot be read: {why}.") from None


def _object(text: Hidden) -> dict[str, Any] | None:
    """Decode a JSON object; its texts do not appear in a ``repr``."""
    try:
        return {name: _hidden(value) for name, value in msgspec.json.decode(text.encode(), type=dict[str, Any]).items()}
    except (msgspec.DecodeError, UnicodeError):
        return None


def _hidden(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _hidden(one) for name, one in value.items()}
    return Hidden(value) if isinstance(value, str) else value


def _text(found: dict[str, Any], name: str, path: Path | str, default: str = "") -> Hidden:
    text = found.get(name, default)
    if not isinstance(text, str) or not text:
        raise BadCredentials(
            f"{path} cannot be used: it has no {name}.",
            state="Nothing was sent.",
            remedy="Add it to the file, or create a new credentials file.",
        )
    return Hidden(text)


def _require_cryptography() -> None:
    try:
        import cryptography  # noqa: F401  an extra
    except ImportError:
        raise UsageError(
            "A service account's key needs RSA signatures, but the package cryptography is not installed.",
            remedy="Install twokey with the extra `gcp`: from a checkout, pip install '.[gcp]'. "
            "Or use workload identity federation, or a token.",
        ) from None


def _signed(header: dict[str, Any], claims: dict[str, Any], key: Hidden, path: Path) -> Hidden:
    """Return a JWT, signed as RS256 (RFC 7515, RFC 7518)."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    unusable = BadCredentials(
        f"{path} cannot be used: its private_key is not an RSA key in PEM.",
        state="Nothing was sent.",
        remedy="Create a new key for the service account.",
    )
    try:
        private = serialization.load_pem_private_key(memoryview(key.encode()), password=None)
    except (ValueError, TypeError):
        raise unusable from None
    if not isinstance(private, rsa.RSAPrivateKey):
        raise unusable
    head = f"{_encoded(json.dumps(header).encode())}.{_encoded(json.dumps(claims).encode())}"
    return Hidden(f"{head}.{_encoded(private.sign(head.encode(), padding.PKCS1v15(), hashes.SHA256()))}")


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


CONNECTION = ConnectionKind(
    name="gcp",
    settings=Settings,
    connect=Google,
    environment={
        "token": ("CLOUDSDK_AUTH_ACCESS_TOKEN", "GOOGLE_OAUTH_ACCESS_TOKEN"),
        "credentials": (google_sources.FILE_VARIABLE,),
    },
)
