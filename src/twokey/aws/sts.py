"""STS as the engine needs it: the identity that a credential authenticates as."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twokey.aws.clients import signing_as
from twokey.aws.errors import call
from twokey.core.errors import BadCredentials, CredentialsUnavailable, ServiceRejected, Unreachable

if TYPE_CHECKING:
    from twokey.aws.clients import Clients
    from twokey.core.secret import Credential


class Sts:
    """The STS calls. GetCallerIdentity needs no permission, and no policy can deny it: it proves the key alone."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._reached: set[str] = set()

    def caller(self) -> tuple[str, str]:
        """Return account and ARN of twokey itself; raises ``BadCredentials`` and the other service errors."""
        response = call(
            "sts:GetCallerIdentity",
            "",
            lambda: self._clients.client("sts").get_caller_identity(),
            mutates=False,
        )
        return response["Account"], response["Arn"]

    def account_of(self, key_id: str) -> str:
        """Return the account that any access key belongs to, also of another account (sts:GetAccessKeyInfo)."""
        response = call(
            "sts:GetAccessKeyInfo",
            key_id,
            lambda: self._clients.client("sts").get_access_key_info(AccessKeyId=key_id),
            mutates=False,
        )
        return str(response["Account"])

    def credentials_left(self) -> float:
        """Return for how many seconds twokey's own credentials are valid, if possible renewed; infinite if unknown."""
        return self._clients.credentials_left()

    def reach(self, region: str) -> None:
        """Raise a ``ServiceError`` unless this region accepts twokey's own credentials; ask once in a run.

        A region that the account has not enabled, or of another partition, responds with InvalidClientTokenId to every
        key. See "Manage AWS STS in an AWS Region" (IAM User Guide), also for the sessions that it does not accept.
        """
        if region in self._reached:
            return
        try:
            call(
                "sts:GetCallerIdentity",
                f"the region {region}",
                lambda: self._clients.client("sts", region).get_caller_identity(),
                mutates=False,
            )
        except CredentialsUnavailable:
            raise
        except BadCredentials:
            raise ServiceRejected(
                f"The region {region} does not accept the credentials that twokey runs with, so no key can be proved "
                "there.",
                remedy=f"Enable {region} for the account, or remove it from verify.regions. A session from the global "
                "endpoint of STS works only in the regions that are enabled by default: use a regional endpoint.",
            ) from None
        except (Unreachable, ServiceRejected) as error:
            raise type(error)(
                f"The region {region} of verify.regions cannot be used: {error.message}",
                remedy=f"Check the name {region} in verify.regions, or remove it.",
            ) from None
        self._reached.add(region)

    def identity_of(self, credential: Credential, region: str | None = None) -> tuple[str, str] | None:
        """Return account and ARN that the credential authenticates as, or None if it does not authenticate (yet).

        A region that a key has not reached yet responds with InvalidClientTokenId. There are no retries, because the
        caller repeats the call anyway.
        """

        def send() -> Any:
            with signing_as(credential.access_key_id, credential.reveal()):
                return self._clients.send("sts", "GetCallerIdentity", {}, region)

        try:
            response = call("sts:GetCallerIdentity", credential.access_key_id, send, mutates=False)
        except CredentialsUnavailable:
            raise
        except BadCredentials:
            return None
        return response["Account"], response["Arn"]
