"""Sends requests so that their effect is known afterwards: it took place, it did not, or it is ambiguous.

botocore's own retries do not consider what an earlier attempt may have done: after a lost response, the retry may be
throttled, rejected or denied, and that error would appear to prove that nothing happened. Here each attempt is one
request, and the result takes all attempts into account.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from twokey.aws import origin
from twokey.aws.clients import ATTEMPTS, CALL_LIMIT, CONNECT_TIMEOUT, READ_TIMEOUT
from twokey.core.errors import Ambiguous, ServiceError, Throttled, Unreachable
from twokey.core.secret import Hidden
from twokey.core.waiting import before_effect

if TYPE_CHECKING:
    from twokey.aws.clients import Clients
    from twokey.aws.pace import Pacer

PATIENCE = CALL_LIMIT - CONNECT_TIMEOUT - READ_TIMEOUT
"""Seconds after which a request is not sent again, so that all attempts end within ``CALL_LIMIT``."""
LONGEST_PAUSE = 5.0
_PREFIXES = {"sesv2": "ses"}
"""The services whose actions have another prefix in policies ("Service Authorization Reference")."""


class Sender:
    """Sends requests to one service in one region, with retries. Every request must be idempotent.

    ``pacer``: many requests of this sender follow each other, at the rate that the service allows.
    """

    def __init__(self, clients: Clients, service: str, region: str | None = None, pacer: Pacer | None = None) -> None:
        self._pacer = pacer
        self._clients = clients
        self._service = service
        self._region = region

    def send(self, operation: str, resource: str, *, mutates: bool = True, **parameters: Any) -> Any:
        """Send ``operation`` (such as ``PutParameter``) for ``resource`` and return the response.

        Raises the errors of ``twokey.core.errors``. If ``mutates`` is true, every error except ``Ambiguous`` proves
        that no attempt took effect. If it is false, the request changes nothing, and ``Ambiguous`` says so. What
        ``before_effect`` raises before an attempt forbids it, and propagates unless an earlier attempt is still open.
        AWS's message about a request that contains a secret (``Hidden``) is left out: it may repeat the secret, in part
        or encoded.
        """
        from twokey.aws.errors import after_lost_response

        clock = self._clients.clock
        deadline = clock.monotonic() + PATIENCE
        ambiguous: Ambiguous | None = None
        unanswered = 0
        pause = 0.1
        while True:
            if mutates:
                before_effect(ambiguous)
            response, failure = self._paced(operation, resource, parameters, mutates=mutates)
            if failure is None:
                return response
            if mutates and isinstance(failure, Ambiguous):
                ambiguous = failure
            unanswered += isinstance(failure, (Ambiguous, Unreachable))
            retry = isinstance(failure, (Ambiguous, Unreachable, Throttled)) and unanswered < ATTEMPTS
            if not retry or clock.monotonic() + pause > deadline:
                raise after_lost_response(failure) if ambiguous else failure
            # Random, so that concurrent requests do not return at the same moment.
            clock.sleep(random.uniform(0.5, 1.0) * pause)  # noqa: S311  no secret
            pause = min(2 * pause, LONGEST_PAUSE)

    def _paced(
        self, operation: str, resource: str, parameters: dict[str, Any], *, mutates: bool
    ) -> tuple[Any, ServiceError | None]:
        if self._pacer is None:
            return self._once(operation, resource, parameters, mutates=mutates)
        self._pacer.wait()
        response, failure = self._once(operation, resource, parameters, mutates=mutates)
        if isinstance(failure, Throttled):
            self._pacer.throttled()
        else:
            self._pacer.let_through()
        return response, failure

    def _once(
        self, operation: str, resource: str, parameters: dict[str, Any], *, mutates: bool
    ) -> tuple[Any, ServiceError | None]:
        from twokey.aws.errors import call

        def send() -> Any:
            return _whole(self._clients.send(self._service, operation, parameters, self._region))

        quote = not any(isinstance(value, Hidden) for value in parameters.values())
        try:
            return call(
                f"{_PREFIXES.get(self._service, self._service)}:{operation}",
                resource,
                send,
                mutates=mutates,
                quote=quote,
            ), None
        except ServiceError as error:
            return None, error


def _whole(response: Any) -> Any:
    """Read a body that botocore leaves on the connection, so that it is checked, and its errors are translated."""
    stream = response.get("Body")
    if not hasattr(stream, "read"):
        return response
    body = stream.read()
    origin.refuse_page({"body": body, "status_code": response["ResponseMetadata"]["HTTPStatusCode"]})
    return {**response, "Body": body}
