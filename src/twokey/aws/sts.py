"""STS as the engine needs it: who does a credential authenticate as?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twokey.aws.clients import signing_as
from twokey.aws.errors import call
from twokey.core.errors import BadCredentials

if TYPE_CHECKING:
    from twokey.aws.clients import Clients
    from twokey.core.secret import Credential


class Sts:
    """The STS calls. GetCallerIdentity needs no permission, and no deny can stop it: it proves the key alone."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def caller(self) -> tuple[str, str]:
        """Return account and ARN of twokey itself; raises ``BadCredentials`` and the other service errors."""
        answer = call(
            "sts:GetCallerIdentity",
            "",
            lambda: self._clients.client("sts").get_caller_identity(),
            effect=False,
        )
        return answer["Account"], answer["Arn"]

    def identity_of(self, credential: Credential, region: str | None = None) -> tuple[str, str] | None:
        """Return account and ARN that the credential authenticates as, or None where it does not (yet).

        A key that has not reached a region yet is answered with InvalidClientTokenId there. Each question is one
        request: the caller asks again anyway.
        """

        def ask() -> Any:
            client = self._clients.client("sts", region, once=True)
            with signing_as(credential.access_key_id, credential.reveal()):
                return client.get_caller_identity()

        try:
            answer = call("sts:GetCallerIdentity", credential.access_key_id, ask, effect=False)
        except BadCredentials:
            return None
        return answer["Account"], answer["Arn"]
