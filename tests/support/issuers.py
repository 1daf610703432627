"""An OIDC issuer for tests: signs tokens, and serves its keys (JWKS)."""

from __future__ import annotations

import json
import time
from functools import cache
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from twokey.testing.server import FakeService, ReceivedRequest, Reply, route

if TYPE_CHECKING:
    from twokey.emulator import Emulator

GITHUB = "https://token.actions.githubusercontent.com"
SUB = "repo:acme/site:ref:refs/heads/main"
AUDIENCE = "sts.amazonaws.com"


@cache
def signing_key(name: str) -> ec.EllipticCurvePrivateKey:
    """Return a key by its name; making one is slow."""
    assert name
    return ec.generate_private_key(ec.SECP256R1())


class Issuer(FakeService):
    """Serves its keys. With ``issuer``, the tokens name that one."""

    def __init__(self, issuer: str = GITHUB) -> None:
        super().__init__()
        self.issuer = issuer

    def token(self, key: str = "k1", kid: str = "k1", **claims: Any) -> str:
        """Return a token for AWS, with these claims in place of the usual ones; None leaves one out."""
        now = int(time.time())
        usual = {"iss": self.issuer, "sub": SUB, "aud": AUDIENCE, "iat": now, "exp": now + 600}
        found = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        return jwt.encode(found, signing_key(key), algorithm="ES256", headers={"kid": kid})

    @route("GET", r"/keys")
    def keys(self, _request: ReceivedRequest) -> Reply:
        """Serve the keys."""
        document = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(signing_key("k1").public_key()))
        return Reply(200, {"keys": [{**document, "kid": "k1", "use": "sig", "alg": "ES256"}]})

    @route("GET", r"/.well-known/openid-configuration")
    def discovery(self, _request: ReceivedRequest) -> Reply:
        """Say where the keys are."""
        return Reply(200, {"issuer": self.url, "jwks_uri": f"{self.url}/keys"})

    def provide(self, aws: Emulator, *audiences: str) -> str:
        """Make it an identity provider of the account; return the provider's ARN."""
        aws.set_issuer_keys(self.issuer, f"{self.url}/keys")
        made = aws.client("iam").create_open_id_connect_provider(
            Url=self.issuer, ClientIDList=list(audiences or (AUDIENCE,)), ThumbprintList=["0" * 40]
        )
        return str(made["OpenIDConnectProviderArn"])


def web_role(aws: Emulator, provider: str, name: str = "deploy", **more: Any) -> str:
    """Make a role that trusts the job of one branch of one repository; return its ARN."""
    host = provider.partition("oidc-provider/")[2]
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": provider},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {f"{host}:sub": SUB, f"{host}:aud": AUDIENCE}},
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    arn: str = aws.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document, **more)["Role"]["Arn"]
    return arn
