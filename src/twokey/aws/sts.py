"""STS as the engine needs it: the identity that a credential authenticates as."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twokey.aws.clients import signing_as
from twokey.aws.errors import call
from twokey.core.errors import BadCredentials

if TYPE_CHECKING:
    from twokey.aws.clients import Clients
    from twokey.core.secret import Credential


class Sts:
    """The STS calls. GetCallerIdentity needs no permission, and no policy can deny it: it proves the key alone."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def caller(self) -> tuple[str, str]:
        """Return account and ARN of twokey itself; raises ``BadCredentials`` and the other service errors."""
        response = call(
            "sts:GetCallerIdentity",
            "",
            lambda: self._clients.client("sts").get_caller_identity(),
            mutates=False,
        )
        return response["Account"], response["Arn"]

    def identity_of(self, credential: Credential, region: str | None = None) -> tuple[str, str] | None:
        """Return account and ARN that the credential authenticates as, or None if it does not authenticate (yet).

        A region that a key has not reached yet responds with InvalidClientTokenId. There are no retries, because the
        caller repeats the call anyway.
        """

        def send() -> Any:
            client = self._clients.client("sts", region, once=True)
            with signing_as(credential.access_key_id, credential.reveal()):
                return client.get_caller_identity()

        try:
            response = call("sts:GetCallerIdentity", credential.access_key_id, send, mutates=False)
        except BadCredentials:
            return None
        return response["Account"], response["Arn"]
