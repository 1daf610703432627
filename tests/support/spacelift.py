"""Spacelift's GraphQL API for the variables of a context, as far as the how-to guide uses it.

Source: spacelift-io/terraform-provider-spacelift (``resource_environment_variable.go``, ``provider.go``): the requests
and the members of their responses. Errors come with status 200.
"""

from __future__ import annotations

import hashlib
from typing import Any

from twokey.testing.server import FakeService, ReceivedRequest, Refusal, Reply, route


class Spacelift(FakeService):
    """Spacelift with the context ``aws-build``, and one API key."""

    def __init__(self) -> None:
        super().__init__()
        self.key = {"id": "01J", "secret": "s" * 40}
        self.contexts: dict[str, dict[str, dict[str, Any]]] = {"aws-build": {}}

    @route("POST", "/graphql")
    def answer(self, request: ReceivedRequest) -> Reply:
        """Answer a query or a mutation."""
        body = request.json()
        query, variables = body["query"], body["variables"]
        if "apiKeyUser" in query:
            user = {"jwt": "jwt-of-the-tests"} if variables == self.key else None
            return Reply(200, {"data": {"apiKeyUser": user}})
        if request.headers.get("Authorization") != "Bearer jwt-of-the-tests":
            raise Refusal(200, {"data": None, "errors": [{"message": "unauthorized"}]})
        context = self.contexts.get(variables["context"])
        if "contextConfigAdd" in query:
            if context is None:
                raise Refusal(200, {"data": None, "errors": [{"message": "not found"}]})
            config = variables["config"]
            assert set(config) == {"id", "type", "value", "writeOnly", "description"}
            context[config["id"]] = config
            return Reply(200, {"data": {"contextConfigAdd": {"id": config["id"]}}})
        found = None if context is None else {"configElement": _shown(context.get(variables["name"]))}
        return Reply(200, {"data": {"context": found}})


def _shown(config: dict[str, Any] | None) -> dict[str, str] | None:
    return config and {"checksum": hashlib.sha256(config["value"].encode()).hexdigest()}
