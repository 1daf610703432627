"""The sessions of roles: AssumeRole, AssumeRoleWithWebIdentity, and whose fault it is that STS refuses.

Sources: "AssumeRole", "AssumeRoleWithWebIdentity" (STS API Reference), "Troubleshoot access denied error messages"
(IAM User Guide). For a role that does not exist, STS says the same as for one that does not trust the caller. IAM is
asked once, with the same credentials, after such a failure; most machine users may not ask, and that is well.
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from twokey.aws import refusals
from twokey.aws.clients import signing_as
from twokey.aws.errors import call, code_of
from twokey.core.errors import BadCredentials, NotFound, ServiceError, TwokeyError
from twokey.core.secret import Hidden, SessionCredential, token_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from twokey.aws.clients import Clients
    from twokey.core.model import RoleRequest
    from twokey.core.secret import Credential

_REGIONS = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
"""Where STS is called if no region is configured: the sessions of a regional endpoint work in every region."""


class Sessions:
    """The sessions that STS issues; implements ``twokey.core.ports.Roles``."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def own(self) -> Credential:
        """Return the credentials that the AWS SDKs find, renewed where they can be."""
        return self._clients.own_credential()

    def account(self, credential: Credential) -> tuple[str, str]:
        """Return the account of the credentials, and the partition. GetCallerIdentity needs no permission."""

        def send() -> Any:
            with _signing_as(credential):
                return self._sts("aws").get_caller_identity()

        arn = str(self._call("sts:GetCallerIdentity", send, lambda code, _: self._unusable(credential, code))["Arn"])
        return arn.split(":")[4], arn.split(":")[1]

    def assume(self, request: RoleRequest, credential: Credential) -> SessionCredential:
        """Assume a role with these credentials."""
        parameters = _parameters(request)
        if request.source_identity:
            parameters["SourceIdentity"] = request.source_identity
        if request.tags:
            parameters["Tags"] = [{"Key": key, "Value": value} for key, value in request.tags]

        def send() -> Any:
            with _signing_as(credential):
                return self._sts(request.arn.split(":")[1]).assume_role(**parameters)

        def explain(code: str, message: str) -> TwokeyError | None:
            return self._unusable(credential, code) or refusals.explain(
                request, code, message, lambda: self._trust_policy(request.arn, credential)
            )

        return _session(self._call("sts:AssumeRole", send, explain, request.arn))

    def assume_with_token(self, request: RoleRequest, token: Hidden) -> SessionCredential:
        """Assume a role with the token of an OIDC provider."""
        parameters = {**_parameters(request), "WebIdentityToken": token}

        def send() -> Any:
            return self._sts(request.arn.split(":")[1]).assume_role_with_web_identity(**parameters)

        def explain(code: str, message: str) -> TwokeyError | None:
            return refusals.explain_web_identity(request, code, message)

        return _session(self._call("sts:AssumeRoleWithWebIdentity", send, explain, request.arn))

    def _sts(self, partition: str) -> Any:
        region = None if self._clients.region else _REGIONS.get(partition, "us-east-1")
        return self._clients.client("sts", region, keyless=True)

    def _call(
        self,
        action: str,
        send: Callable[[], Any],
        explain: Callable[[str, str], TwokeyError | None],
        resource: str = "",
    ) -> Any:
        """Send; ``explain`` is asked first what an error of AWS means, by its code and message."""

        def explained() -> Any:
            try:
                return send()
            except ClientError as error:
                failure = explain(code_of(error), str(error.response.get("Error", {}).get("Message", "")))
                if failure is None:
                    raise
            raise failure

        return call(action, resource, explained, mutates=False)

    def _trust_policy(self, arn: str, credential: Credential) -> str | None:
        """Return the trust policy, the empty text for a role that does not exist, and None where that is unknown."""

        def send() -> Any:
            with _signing_as(credential):
                return self._clients.client("iam", once=True, keyless=True).get_role(RoleName=arn.rsplit("/", 1)[1])

        try:
            if self.account(credential)[0] != arn.split(":")[4]:
                return None
            role = call("iam:GetRole", arn, send, mutates=False)["Role"]
        except NotFound:
            return ""
        except ServiceError:
            return None
        return str(role["AssumeRolePolicyDocument"]) if role["Arn"] == arn else ""

    def _unusable(self, credential: Credential, code: str) -> BadCredentials | None:
        """Return the error for a key that AWS does not accept, where that is the store's and not twokey's own."""
        if code != "InvalidClientTokenId" or token_of(credential):
            return None
        return BadCredentials(
            f"AWS does not accept the access key {credential.access_key_id} ({code}).",
            remedy="The key may be deleted, Inactive, or of another partition: twokey status shows it. If the store "
            "was changed outside twokey, run twokey rotate.",
        )


def _parameters(request: RoleRequest) -> dict[str, Any]:
    found: dict[str, Any] = {
        "RoleArn": request.arn,
        "RoleSessionName": request.session_name,
        "DurationSeconds": request.seconds,
    }
    if request.external_id:
        found["ExternalId"] = request.external_id
    if request.policy:
        found["Policy"] = request.policy
    return found


def _signing_as(credential: Credential) -> Any:
    return signing_as(credential.access_key_id, credential.reveal(), token_of(credential) or None)


def _session(response: Any) -> SessionCredential:
    found = response["Credentials"]
    # botocore makes a time zone for each time, which lasts as long as the session.
    expires = found["Expiration"].astimezone(UTC)
    return SessionCredential(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"], expires=expires)
