"""The connection to moto: starts it empty, sets it to the emulator's clock, and forwards requests to it.

moto's own authentication stays off: the emulator has authenticated and authorised every request that moto gets.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import time
import warnings
from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from twokey.emulator.responses import Response
from twokey.emulator.values import EmulatorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from twokey.emulator.clock import Clock
    from twokey.emulator.wire import Call

# Other services are loaded at their first request: moto.ssm alone takes 0.4 s.
_NEEDED = ("flask_cors", "moto.iam.models", "moto.moto_server.werkzeug_app", "moto.secretsmanager.models")
_current: list[Clock] = []
_originals: list[Any] = []


def load() -> None:
    """Import moto. Raises EmulatorError, which says what to install, if it is missing."""
    if os.environ.get("MOTO_ACCOUNT_ID"):
        raise EmulatorError("MOTO_ACCOUNT_ID is set, and moto would use one account for every request: unset it.")
    try:
        with warnings.catch_warnings(), without_profile():
            warnings.simplefilter("ignore")
            for name in _NEEDED:
                importlib.import_module(name)
            from moto.core.base_backend import AccountSpecificBackend

            AccountSpecificBackend.get_session()
    except ImportError as error:
        raise EmulatorError(
            f"The emulator needs moto and flask ({error}). Install twokey with the extra `emulator`: "
            "from a checkout, pip install '.[emulator]'; from a wheel, pip install 'FILE.whl[emulator]'."
        ) from error


@contextlib.contextmanager
def without_profile() -> Iterator[None]:
    """Remove AWS_PROFILE meanwhile: moto makes boto3 sessions, which fail for a profile that does not exist.

    It makes them when it is loaded, and with some requests.
    """
    kept = {name: os.environ.pop(name) for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE") if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def start(clock: Clock, seed: int) -> None:
    """Reset all backends of moto, and set moto to the emulator's clock."""
    from moto import settings
    from moto.core.base_backend import BackendDict
    from moto.moto_api._internal import mock_random

    BackendDict.reset()
    _forget_organizations()
    mock_random.seed(seed)
    settings.INITIAL_NO_AUTH_ACTION_COUNT = float("inf")
    _current[:] = [clock]
    _install_clock()
    iam, secretsmanager = _models()
    secretsmanager.time = SimpleNamespace(time=clock.seconds)
    if not _originals:
        _originals.append(iam.mark_account_as_visited)
    iam.mark_account_as_visited = lambda **_: None  # the keyring records last uses


def stop() -> None:
    """Restore moto's own clock, and reset all its backends."""
    from moto.core.base_backend import BackendDict

    BackendDict.reset()
    _current.clear()
    iam, secretsmanager = _models()
    secretsmanager.time = time
    iam.mark_account_as_visited = _originals[0]


def _forget_organizations() -> None:
    """Forget which account is in which organization: moto's reset keeps that."""
    if organizations := sys.modules.get("moto.organizations.models"):
        organizations.organizations_backends.master_accounts.clear()


def _models() -> tuple[Any, Any]:
    return importlib.import_module("moto.iam.models"), importlib.import_module("moto.secretsmanager.models")


def _utcnow() -> datetime:
    """The time as moto's modules expect it: naive, in UTC."""
    now = _current[0].now() if _current else datetime.now(UTC)
    return now.replace(tzinfo=None)


def _install_clock() -> None:
    """Replace moto's `utcnow` wherever it has been imported; modules loaded later import the replacement."""
    from moto.core import utils

    original = utils.utcnow
    if original is _utcnow:
        return
    for name, module in list(sys.modules.items()):
        if name.startswith("moto.") and getattr(module, "utcnow", None) is original:
            vars(module)["utcnow"] = _utcnow


@cache
def _application() -> Any:
    """moto's WSGI application. It has no state of its own, and building the routes of a service takes milliseconds.

    For each request, moto lists its own folders to find the service, and all methods of a class to find one: what it
    found the first time is kept.
    """
    from moto.core import responses
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    names = vars(responses)
    names["method_names_from_class"] = cache(names["method_names_from_class"])
    application: Any = DomainDispatcherApplication(create_backend_app)
    application.get_backend_for_host = cache(application.get_backend_for_host)
    return application


_only_handlers: dict[str, Callable[..., Any] | None] = {}
"""The function that performs all requests of a service, for services whose requests all go to one path."""


def _only_handler(application: Any, call: Call, environ: dict[str, Any]) -> Callable[..., Any] | None:
    """Return what moto's application would call for this request; None if that depends on more than the service."""
    if call.incoming.target != "/" or call.incoming.method != "POST" or "HTTP_AUTHORIZATION" not in environ:
        return None
    if call.service not in _only_handlers:
        views = list(application.get_application(environ).view_functions.values())
        _only_handlers[call.service] = views[0].callback if len(views) == 1 else None
    return _only_handlers[call.service]


class Moto:
    """moto's WSGI application, in this process."""

    def __init__(self) -> None:
        """Create the application, once in a process; it loads each service at its first request."""
        self._app = _application()

    def forward(self, call: Call, account: str, body: bytes | None = None) -> Response:
        """Let moto perform the request in that account; `body` replaces the request's own.

        Where it is known what moto's application would call, that is called: to get there takes a third of the time.
        """
        environ = _environ(call, account, call.incoming.body if body is None else body)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                handler = _only_handler(self._app, call, environ)
                status, headers, content = _call(handler, environ) if handler else _through(self._app, environ)
        except NotImplementedError as error:
            return Response(501, (("Content-Type", "text/plain"),), str(error).encode(), "NotImplemented")
        own = _OWN_HEADERS - {"content-length"} if call.incoming.method == "HEAD" else _OWN_HEADERS
        return Response(status, tuple((k, v) for k, v in headers if k.lower() not in own), content)


def _through(application: Any, environ: dict[str, Any]) -> tuple[int, Iterable[tuple[str, str]], bytes]:
    from werkzeug.test import run_wsgi_app

    chunks, status, headers = run_wsgi_app(application, environ, buffered=True)
    return int(status.split(" ", 1)[0]), headers, b"".join(chunks)


def _call(handler: Callable[..., Any], environ: dict[str, Any]) -> tuple[int, Iterable[tuple[str, str]], bytes]:
    """Do what moto's application does for a function of its own: moto.core.utils.convert_to_flask_response."""
    from flask import Response as FlaskResponse
    from moto.core import utils
    from moto.moto_server.werkzeug_app import BackendRequest

    request = BackendRequest(environ)
    try:
        found = handler(request, request.raw_url, dict(request.headers))
    except vars(utils)["ClientError"] as error:
        found = 400, {}, error.response["Error"]["Message"]
    status, headers, content = found if len(found) == 3 else (200, {}, found)
    response = FlaskResponse(response=content, status=status, headers=headers)
    return response.status_code, response.headers, response.get_data()


_OWN_HEADERS = frozenset({"date", "content-length", "connection", "access-control-allow-origin", "server"})


def _environ(call: Call, account: str, body: bytes) -> dict[str, Any]:
    incoming = call.incoming
    path, _, query = incoming.target.partition("?")
    host, _, port = incoming.headers.get("host", "127.0.0.1:80").partition(":")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": incoming.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "RAW_URI": incoming.target,
        "REQUEST_URI": incoming.target,
        "SERVER_NAME": host,
        "SERVER_PORT": port or "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": incoming.client_ip,
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": incoming.headers.get("content-type", ""),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in incoming.headers.items():
        if name not in ("content-length", "content-type", "transfer-encoding"):
            environ["HTTP_" + name.upper().replace("-", "_")] = value
    environ["HTTP_X_MOTO_ACCOUNT_ID"] = account
    return environ
