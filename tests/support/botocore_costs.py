"""What botocore works out again for each client, worked out once: half of what a test of the AWS edge would cost."""

from __future__ import annotations

from functools import cache
from types import FunctionType
from typing import TYPE_CHECKING, Any

from botocore import client, compat, hooks, loaders, session, useragent
from botocore.hooks import NodeList
from botocore.retries import standard
from botocore.utils import EVENT_ALIASES

from twokey.aws.models import models

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

LOADER = models(None)
"""Reads botocore's service models once for all tests: they are most of what a client costs."""
_NAMES: dict[str, str] = {}


def spare_them() -> None:
    """Keep what depends only on botocore's own code, its models or this machine.

    That is: what handlers accept, the current names of events, the model and the methods of a service's client, the
    name of the operating system, and the parts of a user agent. Handlers are copied without asking each of the lists
    that hold them how.

    Its pauses before it repeats a request pass at once: they are random, and no test is about them.
    """
    for module in (loaders, session):  # a session has the function's name of its own
        vars(module)["create_loader"] = lambda *_: LOADER
    vars(hooks)["accepts_kwargs"] = _accepts_kwargs
    backoff: Any = standard.ExponentialBackoff
    backoff.delay_amount = lambda _self, _context: 0.0
    aliaser: Any = hooks.EventAliaser
    make = aliaser.__init__

    def made(self: Any, event_emitter: Any, event_aliases: Any = None) -> None:
        make(self, event_emitter, event_aliases)
        if self._event_aliases == EVENT_ALIASES:
            self._alias_name_cache = _NAMES

    aliaser.__init__ = made
    vars(hooks)["_PrefixTrie"]._recursive_copy = lambda _self, node: _copied(node)
    vars(useragent)["sanitize_user_agent_string_component"] = cache(useragent.sanitize_user_agent_string_component)
    creator: Any = client.ClientCreator
    creator._load_service_model = _shared_model(creator._load_service_model)
    _keep(client.ClientCreator, "_create_methods", lambda _creator, model: (model.service_name, model.api_version))
    _keep(
        useragent.UserAgentString, "_build_os_metadata", lambda agent: (agent._platform_name, agent._platform_version)
    )


def _keep(owner: Any, name: str, key: Callable[..., Hashable]) -> None:
    """Let a method without effects return a copy of what it returned for the same key."""
    make = getattr(owner, name)
    kept: dict[Hashable, Any] = {}

    def once(*arguments: Any) -> Any:
        wanted = key(*arguments)
        if wanted not in kept:
            kept[wanted] = make(*arguments)
        return kept[wanted].copy()

    setattr(owner, name, once)


def _copied(node: dict[str, Any]) -> dict[str, Any]:
    copied: dict[str, Any] = {}
    for key, value in node.items():
        if isinstance(value, NodeList):
            copied[key] = NodeList(value.first[:], value.middle[:], value.last[:])
        else:
            copied[key] = _copied(value) if isinstance(value, dict) else value
    return copied


def _shared_model(load: Callable[..., Any]) -> Callable[..., Any]:
    """Let all clients of a service have one model: it only ever adds to what it has worked out."""
    models: dict[Hashable, Any] = {}

    def shared(creator: Any, service: str, api_version: str | None = None) -> Any:
        if (service, api_version) not in models:
            models[service, api_version] = load(creator, service, api_version)
        return models[service, api_version]

    return shared


@cache
def _accepts(function: FunctionType) -> Any:
    return compat.accepts_kwargs(function)


def _accepts_kwargs(handler: Any) -> Any:
    function = getattr(handler, "__func__", handler)
    return _accepts(function) if isinstance(function, FunctionType) else compat.accepts_kwargs(handler)
