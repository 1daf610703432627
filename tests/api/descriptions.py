"""The services' own descriptions of their APIs (OpenAPI), cut down to the requests that twokey sends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parents[2]
INSTALLED = ROOT / ".apis"
PACKAGES = INSTALLED / "node_modules"
Document = dict[str, Any]


def read(*parts: str) -> Document:
    """Return a description out of the installed packages."""
    found: Document = json.loads(PACKAGES.joinpath(*parts).read_text(encoding="utf-8"))
    return found


def cut(document: Document, paths: Iterable[str]) -> Document:
    """Return a description of these paths alone, with all that they refer to.

    Prism takes 20 s to read all of GitHub's. Raises ``KeyError`` for a path that is not described.
    """
    kept: Document = {
        "openapi": document["openapi"],
        "info": document["info"],
        "paths": {path: document["paths"][path] for path in paths},
    }
    waiting = list(_references(kept["paths"]))
    seen: set[str] = set()
    while waiting:
        reference = waiting.pop()
        if reference not in seen:
            seen.add(reference)
            waiting += _references(_copy(document, kept, reference))
    return kept


def answers_to_errors(document: Document, schema: str) -> None:
    """Describe the errors (4XX) that operations leave undescribed: they have this schema too."""
    error = {"description": "", "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}
    for path in document["paths"].values():
        for method in path.keys() & {"get", "put", "post", "patch", "delete"}:
            path[method]["responses"].setdefault("4XX", error)


def drop_nullable_without_type(node: Any) -> None:
    """Remove ``nullable`` where no ``type`` is beside it: it has no meaning there (OpenAPI 3.0.3), and stops Prism."""
    if isinstance(node, dict):
        if "type" not in node and node.get("nullable") is True:
            del node["nullable"]
        node = list(node.values())
    if isinstance(node, list):
        for inner in node:
            drop_nullable_without_type(inner)


def _copy(document: Document, kept: Document, reference: str) -> Any:
    """Copy what a reference such as ``#/components/schemas/basic-error`` names, and return it."""
    *folders, name = reference.removeprefix("#/").split("/")
    source, target = document, kept
    for folder in folders:
        source, target = source[folder], target.setdefault(folder, {})
    target[name] = source[name]
    return source[name]


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for inner in node.values():
            yield from _references(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _references(inner)
