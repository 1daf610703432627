"""The function that AWS Lambda calls. The state machine is ``deploy/state-machine/rotation.asl.json``.

The field ``do`` of an event says what to do: ``list``, ``rotate`` or ``summarise``. An error ends the invocation with
its class name as the error's name, which the state machine compares; a user that fails is a result, not an error.
"""

from __future__ import annotations

import traceback
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import msgspec

from twokey.core.errors import Failed, TwokeyError
from twokey.fleet.first import connect
from twokey.serverless import configuration, events
from twokey.serverless.deadline import Deadline

if TYPE_CHECKING:
    from twokey.config.settings import Settings
    from twokey.fleet.first import First
    from twokey.serverless.deadline import Context


def handle(event: object, context: Context) -> Any:
    """Do what an event says, and return the result as JSON values. Raises a ``TwokeyError`` with what to do.

    Lambda and Step Functions keep the text of an error, so that of an unforeseen one, which may hold anything, is left
    out.
    """
    try:
        found = events.event_of(event)
        stop = Deadline(context)
        first = connect()
        settings = configuration.settings(first.clients)
        return msgspec.to_builtins(_done(found, settings, first, stop))
    except TwokeyError:
        raise
    except Exception as error:  # noqa: BLE001  its text may hold a secret
        unforeseen = _defect(error)
    raise unforeseen


def _defect(error: Exception) -> Failed:
    """Return an error that says what kind of unforeseen error was raised, and where."""
    frames = traceback.extract_tb(error.__traceback__)
    at = f" at {frames[-1].name}, line {frames[-1].lineno} of {PurePath(frames[-1].filename).name}" if frames else ""
    return Failed(
        f"A defect in twokey ({type(error).__name__}{at}).",
        state="Completed changes remain; the next execution continues from there.",
        remedy="Report this message, which holds no secret, to the maintainers of twokey.",
    )


def _done(event: events.Event, settings: Settings, first: First, stop: Deadline) -> object:
    match event:
        case events.List():
            return _listed(event, settings, first, stop)
        case events.Rotate():
            from twokey.serverless.chunk import rotate

            return rotate(event, settings, first, stop)
        case events.Summarise():
            from twokey.serverless.summary import summarise

            return summarise(event, settings, first)


def _listed(event: events.List, settings: Settings, first: First, stop: Deadline) -> object:
    """Find the users. What keeps twokey from all of them is told: no later step would be reached."""
    from twokey.serverless.listing import find_users

    try:
        return find_users(event, settings, first, stop)
    except TwokeyError as error:
        from twokey.fleet.alerting import Alerting
        from twokey.fleet.runtime import Runtime

        Alerting(settings, "rotate", lambda _: None, runtime=Runtime(settings, first)).failed(error)
        raise
