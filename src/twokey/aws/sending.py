"""Requests whose effect is known afterwards: it took place, it did not, or nobody can tell.

botocore's own repetitions forget what an earlier attempt may have done: after a lost answer a repeated request
can be throttled, refused or denied, and that error would seem to prove that nothing happened. Here each attempt
is one request, and what the first ones left open is remembered.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from botocore import xform_name

from twokey.aws.clients import ATTEMPTS, CALL_LIMIT, CONNECT_TIMEOUT, READ_TIMEOUT
from twokey.aws.errors import call, in_doubt
from twokey.core.errors import Ambiguous, ServiceError, Throttled, Unreachable
from twokey.core.secret import Hidden

if TYPE_CHECKING:
    from twokey.aws.clients import Clients

PATIENCE = CALL_LIMIT - CONNECT_TIMEOUT - READ_TIMEOUT
"""Seconds after which a request is not sent again, so that all of it ends within ``CALL_LIMIT``."""
LONGEST_PAUSE = 5.0


class Sender:
    """Sends requests to one service in one region, again where that does no harm: each must be repeatable."""

    def __init__(self, clients: Clients, service: str, region: str | None = None) -> None:
        self._clients = clients
        self._service = service
        self._region = region

    def send(self, operation: str, resource: str, *, effect: bool = True, **parameters: Any) -> Any:
        """Send ``operation`` (such as ``PutParameter``) about ``resource`` and return the answer.

        Raises the errors of ``twokey.core.errors``. Where ``effect`` is true, every error but ``Ambiguous`` proves that
        no attempt had an effect. Where it is false, the request changes nothing, and ``Ambiguous`` says so.
        AWS's words about a request that holds a secret (``Hidden``) are left out: they may repeat it, in part or in
        another form.
        """
        clock = self._clients.clock
        deadline = clock.monotonic() + PATIENCE
        doubtful = False
        unanswered = 0
        pause = 0.1
        while True:
            answer, failure = self._once(operation, resource, parameters, effect=effect)
            if failure is None:
                return answer
            doubtful = effect and (doubtful or isinstance(failure, Ambiguous))
            unanswered += isinstance(failure, (Ambiguous, Unreachable))
            again = isinstance(failure, (Ambiguous, Unreachable, Throttled)) and unanswered < ATTEMPTS
            if not again or clock.monotonic() + pause > deadline:
                raise in_doubt(failure) if doubtful else failure
            # Spread apart what would otherwise come back at the same moment.
            clock.sleep(random.uniform(0.5, 1.0) * pause)  # noqa: S311  no secret
            pause = min(2 * pause, LONGEST_PAUSE)

    def _once(
        self, operation: str, resource: str, parameters: dict[str, Any], *, effect: bool
    ) -> tuple[Any, ServiceError | None]:
        def ask() -> Any:
            client = self._clients.client(self._service, self._region, once=True)
            return getattr(client, xform_name(operation))(**parameters)

        quote = not any(isinstance(value, Hidden) for value in parameters.values())
        try:
            return call(f"{self._service}:{operation}", resource, ask, effect=effect, quote=quote), None
        except ServiceError as error:
            return None, error
