"""The only reader of environment variables besides ``twokey.config`` and the AWS SDK."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from twokey.core.secret import Hidden

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def variable(name: str) -> str:
    """Return a variable's value, empty if it is not set. It may be a secret."""
    return os.environ.get(name, "")


def chosen(names: Iterable[str], more: Mapping[str, str]) -> dict[str, Hidden]:
    """Return the environment of another program: those of the named variables that are set, and ``more``."""
    passed = {name: Hidden(os.environ[name]) for name in names if name in os.environ}
    return passed | {name: Hidden(value) for name, value in more.items()}


def first_set(names: Iterable[str]) -> str | None:
    """Return the name of the first variable that is set and not empty."""
    return next((name for name in names if variable(name)), None)


def first_value(names: Iterable[str]) -> str:
    """Return the value of the first variable that is set and not empty; empty if none is."""
    return next((value for name in names if (value := variable(name))), "")


def for_program(added: dict[str, str]) -> dict[str, str]:
    """Return the environment of a program: this process's own, and ``added``, which contains no secret."""
    return {**os.environ, **added}


def without(names: Iterable[str], added: Mapping[str, str]) -> dict[str, Hidden]:
    """Return the environment of a job's command: this process's own without these variables, and ``added``."""
    removed = set(names)
    kept = {name: Hidden(os.environ[name]) for name in os.environ if name not in removed}
    return kept | {name: Hidden(added[name]) for name in added}


def proxy_for(scheme: str, host: str, port: int | None) -> str | None:
    """Return the proxy's URL by ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` (case-insensitive), or None."""
    from urllib.request import (  # type: ignore[attr-defined]  # typeshed knows the second one on macOS only
        getproxies_environment,
        proxy_bypass_environment,
    )

    proxies = getproxies_environment()
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy or proxy_bypass_environment(f"{host}:{port}" if port else host, proxies):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def on_github_actions() -> bool:
    """Return whether this runs in a GitHub Actions job, whose log can mask secrets."""
    return os.environ.get("GITHUB_ACTIONS") == "true"
