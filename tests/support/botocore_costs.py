"""What botocore works out again for each client, worked out once: half of what a test of the AWS edge would cost."""

from __future__ import annotations

import os
from copy import copy
from functools import cache, partial
from types import FunctionType
from typing import TYPE_CHECKING, Any
from urllib import request

from botocore import auth, client, compat, hooks, loaders, regions, session, useragent, utils
from botocore.hooks import NodeList
from botocore.retries import standard
from botocore.utils import EVENT_ALIASES

from twokey.aws.models import models

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

LOADER = models(None)
"""Reads botocore's service models once for all tests: they are most of what a client costs."""
_NAMES: dict[str, str] = {}
_MIDDLE = 1
"""Where botocore puts a handler that asks for no place."""
_read_proxies = request.getproxies_environment


def spare_them() -> None:
    """Keep what depends only on botocore's own code, its models or this machine.

    That is: what handlers accept, the handlers with which a session begins, the current names of events, the model and
    the methods of a service's client, the name of the operating system, the parts of a user agent, and whether the host
    of a URL is an IPv6 address. Clients share the handlers that their session has.

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
    _share_handlers()
    sessions: Any = session.Session
    sessions._register_builtin_handlers = _registered_once(sessions._register_builtin_handlers)
    vars(utils)["getproxies"] = vars(request)["getproxies_environment"] = _proxies
    vars(useragent)["sanitize_user_agent_string_component"] = cache(useragent.sanitize_user_agent_string_component)
    for module in (auth, utils):
        vars(module)["is_valid_ipv6_endpoint_url"] = cache(vars(module)["is_valid_ipv6_endpoint_url"])
    creator: Any = client.ClientCreator
    creator._load_service_model = _shared_model(creator._load_service_model)
    endpoints: Any = regions
    endpoints.EndpointProvider = _shared_endpoints(endpoints.EndpointProvider)
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


def _share_handlers() -> None:
    """Let a copy of botocore's handlers share their tree, of which a change then makes its own branch anew."""
    tree: Any = vars(hooks)["_PrefixTrie"]
    remove = tree.remove_item

    def append_item(self: Any, key: str, value: Any, section: int = _MIDDLE) -> None:
        self._root = node = dict(self._root)
        for part in key.split("."):
            children = node["children"] = dict(node["children"])
            found = children.get(part)
            node = children[part] = dict(found) if found else {"chunk": part, "values": None, "children": {}}
        values = node["values"] = _lists(node["values"] or NodeList([], [], []))
        values[section].append(value)

    def remove_item(self: Any, key: str, value: Any) -> None:
        self._root = _copied(self._root)
        remove(self, key, value)

    tree._recursive_copy, tree.append_item, tree.remove_item = lambda _self, node: dict(node), append_item, remove_item


def _registered_once(register: Callable[..., None]) -> Callable[..., None]:
    """Let each session begin with the handlers that the first one has registered: botocore's own, the same for all."""
    first: list[Any] = []

    def registered(new: Any, events: Any) -> None:
        if first:
            vars(new._original_handler).update(vars(copy(first[0])))
        else:
            register(new, events)
            first.append(copy(new._original_handler))

    return registered


def _copied(node: dict[str, Any]) -> dict[str, Any]:
    children = {part: _copied(child) for part, child in node["children"].items()}
    return {**node, "children": children, "values": node["values"] and _lists(node["values"])}


def _lists(values: NodeList) -> NodeList:
    return NodeList(values.first[:], values.middle[:], values.last[:])


def _proxies() -> dict[str, str]:
    """Return the proxies of the environment, which is decoded only if it names one."""
    named = any(name.lower().endswith(b"_proxy") for name in os.environ._data)  # type: ignore[attr-defined]
    return _read_proxies() if named else {}


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
    called = handler.func if isinstance(handler, partial) else handler
    if not isinstance(called, FunctionType):
        called = getattr(called, "__func__", None) or getattr(type(called), "__call__", None)  # noqa: B004  its function
    return _accepts(called) if isinstance(called, FunctionType) else compat.accepts_kwargs(handler)


def _shared_endpoints(make: Callable[..., Any]) -> Callable[..., Any]:
    """Let all clients of a service have one interpreter of the rules for its endpoints, which are the same object."""
    made: dict[int, tuple[Any, Any]] = {}

    def shared(*, ruleset_data: Any, **others: Any) -> Any:
        kept = made.get(id(ruleset_data))
        if kept is None:
            kept = made[id(ruleset_data)] = ruleset_data, make(ruleset_data=ruleset_data, **others)
        return kept[1]

    return shared
