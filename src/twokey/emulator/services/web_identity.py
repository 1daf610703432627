"""AssumeRoleWithWebIdentity: a session of a role for the holder of an OIDC token, without any key.

Sources: "AssumeRoleWithWebIdentity" (STS API Reference), "Create an OpenID Connect (OIDC) identity provider in IAM" and
"Available keys for AWS OIDC federation" (IAM User Guide). PyJWT verifies signature, audience, issuer and end of a
token. The thumbprints of a provider are left aside. The messages that AWS does not document are those that users quote.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from twokey.emulator.identity import session_caller
from twokey.emulator.responses import Response, ServiceError, query_response
from twokey.emulator.services.iam_users import backend_of
from twokey.emulator.services.sts import (
    check_length,
    credentials_of,
    issue,
    role_of,
    seconds,
    session_name,
    session_policies,
)
from twokey.emulator.services.trust import trusts_web_identity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twokey.emulator.wire import Call
    from twokey.emulator.world import World

ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")
PATIENCE = 5
_NO_KEY = (
    "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity "
    "documentation for requirements"
)


def assume_role_with_web_identity(world: World, call: Call) -> Response:
    """AssumeRoleWithWebIdentity. The request needs no signature."""
    arn = str(call.params.get("RoleArn", ""))
    account, role = role_of(arn)
    name, length = session_name(call), seconds(call, default=3600, highest=43200)
    provider, claims = _verified(world, account, str(call.params.get("WebIdentityToken", "")))
    if role is None or not trusts_web_identity(role, provider.arn, _context(provider, claims, call)):
        raise ServiceError("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", 403)
    check_length(length, int(role.max_session_duration or 3600), chained=False)
    session = issue(world, "role", account, role, name, length, session_policies(call, account))
    user = session_caller(session)
    result = {
        "SubjectFromWebIdentityToken": claims["sub"],
        "Audience": _audience(claims),
        "Provider": provider.arn,
        "AssumedRoleUser": {"AssumedRoleId": user.user_id, "Arn": user.arn},
        "Credentials": credentials_of(session),
    }
    return query_response(call, result)


def _verified(world: World, account: str, token: str) -> tuple[Any, Mapping[str, Any]]:
    """The provider of the token's issuer in the account, and the claims."""
    import jwt

    try:
        header = jwt.get_unverified_header(token)
        issuer = str(jwt.decode(token, options={"verify_signature": False}).get("iss", ""))
    except jwt.PyJWTError:
        message = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
        raise ServiceError("InvalidIdentityToken", message) from None
    provider = _provider(account, issuer)
    key = _key(world, issuer, str(header.get("kid", "")))
    now = world.clock.now().timestamp()
    try:
        claims: Mapping[str, Any] = jwt.decode(
            token,
            key,
            algorithms=ALGORITHMS,
            audience=list(provider.client_id_list),
            issuer=issuer,
            # PyJWT compares with this machine's clock, and the emulator's may be ahead of it.
            leeway=-(world.clock.advanced + world.clock.skew),
            options={"require": ["exp", "iat", "sub", "aud", "iss"], "verify_nbf": False, "verify_iat": False},
        )
    except jwt.ExpiredSignatureError:
        message = f"Token expired: current date/time {int(now)} must be before the expiration date/time"
        raise ServiceError("ExpiredTokenException", message) from None
    except jwt.InvalidAudienceError:
        raise ServiceError("InvalidIdentityToken", "Incorrect token audience") from None
    except jwt.PyJWTError as error:
        raise ServiceError("InvalidIdentityToken", f"The web identity token is not valid: {error}") from None
    return provider, claims


def _provider(account: str, issuer: str) -> Any:
    name = issuer.partition("://")[2]
    providers = backend_of(account).open_id_providers.values()
    found = next((one for one in providers if one.url.rstrip("/") == name.rstrip("/")), None)
    if not name or found is None:
        message = f"No OpenIDConnect provider found in your account for {issuer}"
        raise ServiceError("InvalidIdentityToken", message)
    return found


def _key(world: World, issuer: str, kid: str) -> Any:
    """The issuer's key that signed the token: by a test's JWKS document, or by OpenID Connect Discovery."""
    import jwt

    url = world.issuer_keys.get(issuer)
    if url is None:
        url = str(_fetched(f"{issuer.rstrip('/')}/.well-known/openid-configuration").get("jwks_uri", ""))
    try:
        keys = jwt.PyJWKSet.from_dict(dict(_fetched(url))).keys
    except jwt.PyJWTError:
        raise ServiceError("InvalidIdentityToken", _NO_KEY) from None
    found = next((one for one in keys if one.key_id == kid or (len(keys) == 1 and not kid)), None)
    if found is None:
        raise ServiceError("InvalidIdentityToken", _NO_KEY)
    return found


def _fetched(url: str) -> Mapping[str, Any]:
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as response:  # noqa: S310 - the issuer that a test names
            document = json.loads(response.read())
    except (OSError, ValueError, urllib.error.URLError):
        message = "The identity provider could not be reached to verify the incoming identity token."
        raise ServiceError("IDPCommunicationError", message) from None
    return document if isinstance(document, dict) else {}


def _audience(claims: Mapping[str, Any]) -> str:
    audience = claims["aud"]
    return str(audience[0] if isinstance(audience, list) else audience)


def _context(provider: Any, claims: Mapping[str, Any], call: Call) -> dict[str, tuple[str, ...]]:
    """The condition keys of the token: its claims, each after the provider's URL. `aud` is `azp` where there is one."""
    found: dict[str, tuple[str, ...]]
    found = {name: (str(value),) for name, value in claims.items() if isinstance(value, str | int | bool)}
    if isinstance(claims["aud"], list):
        found["aud"] = tuple(map(str, claims["aud"]))
    if "azp" in claims:
        found |= {"oaud": found["aud"], "aud": (str(claims["azp"]),)}
    context = {f"{provider.url}:{name}".lower(): values for name, values in found.items()}
    return {
        **context,
        "sts:rolesessionname": (str(call.params.get("RoleSessionName", "")),),
        "aws:sourceip": (call.source_ip,),
    }


UNSIGNED = {"sts:AssumeRoleWithWebIdentity": assume_role_with_web_identity}
"""The operations that need no signature."""
