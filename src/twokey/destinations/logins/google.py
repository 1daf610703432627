"""How Google Cloud is reached: with a token, a credentials file, or the metadata server of the machine.

Sources: "About VM metadata" (Compute Engine), AIP-193 "Errors".
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec

from twokey.core.errors import AccessDenied, Failed, ServiceRejected
from twokey.destinations import connections
from twokey.destinations.connections import ConnectionKind
from twokey.destinations.logins import google_sources
from twokey.destinations.logins.google_files import credentials
from twokey.destinations.logins.google_grants import PATIENCE, SCOPE, Grants
from twokey.destinations.logins.oauth import granted
from twokey.destinations.sources import Source
from twokey.http.client import Http
from twokey.http.messages import Request, Response
from twokey.http.rate_limits import Limit
from twokey.http.renewable_token import RenewableToken

if TYPE_CHECKING:
    from twokey.destinations.connections import ConnectionContext

PUBLIC = "https://secretmanager.googleapis.com"
REGIONAL = "https://secretmanager.{location}.rep.googleapis.com"
"""Where the secrets of one location are ("Secret Manager endpoints"); they are nowhere else."""
_LOCATION = "{location}"
METADATA = "http://169.254.169.254"
LIMITS = (Limit(600, 60),)
"""Writes of one project ("Quotas and limits", Secret Manager)."""
_STS = "https://sts.googleapis.com/v1/token"
_IAM = "https://iamcredentials.googleapis.com"
_JWT = "urn:ietf:params:oauth:token-type:jwt"


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
        self._grants = Grants(context.clock, self._ca, context.sign_identity)
        file = self._credentials_file(settings)
        self._access, self._source = self._token(settings, context, file)
        payer = google_sources.quota_project(settings.quota_project, credentials(file) if file else None)
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
            patience=PATIENCE,
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
            log_in = self._grants.of_file(file)
            source = f"a valid credentials file ({file})"
            return RenewableToken(log_in, source, self.clock), source
        if settings.workload_identity is not None:
            return self._federated(settings.workload_identity, context)
        http = self._grants.login("The metadata server", settings.metadata or METADATA)
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
            RenewableToken(lambda: self._grants.external_account(found, label, secret.latest()), needed, self.clock),
            needed,
        )


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


CONNECTION = ConnectionKind(
    name="gcp",
    settings=Settings,
    connect=Google,
    environment={
        "token": ("CLOUDSDK_AUTH_ACCESS_TOKEN", "GOOGLE_OAUTH_ACCESS_TOKEN"),
        "credentials": (google_sources.FILE_VARIABLE,),
    },
)
