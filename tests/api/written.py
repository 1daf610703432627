"""Descriptions that are written down here, for services whose own no package is known to carry."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from api.descriptions import Document

Schema = dict[str, Any]
STRING: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer"}
SWITCH: Schema = {"type": "boolean"}
ANYTHING: Schema = {"type": "object"}
TEXTS: Schema = {"type": "array", "items": STRING}
JSON = "application/json"


def fields(*needed: str, **types: Schema) -> Schema:
    """Describe an object that has these fields and no other."""
    return {"type": "object", "required": list(needed), "properties": types, "additionalProperties": False}


def whole(**types: Schema) -> Schema:
    """Describe an object that has all of these fields and no other."""
    return fields(*types, **types)


def or_null(schema: Schema) -> Schema:
    """Describe a value that may be null."""
    return {**schema, "nullable": True}


def query(name: str, schema: Schema) -> Schema:
    """Describe what may stand behind the path of a request."""
    return {"name": name, "in": "query", "schema": schema}


def operation(
    responses: Mapping[int | str, Schema | None], body: Schema | None = None, *queries: Schema, kind: str = JSON
) -> Document:
    """Describe a request by its body and by the bodies of its responses; None where a response has none."""
    replies = {
        str(status): {"description": "", **({"content": {JSON: {"schema": schema}}} if schema else {})}
        for status, schema in responses.items()
    }
    takes = {"requestBody": {"required": True, "content": {kind: {"schema": body}}}} if body else {}
    return {"responses": replies, "parameters": list(queries), **takes}


def document(title: str, paths: Mapping[str, Document]) -> Document:
    """Return a description of these paths, each with its methods; what is in braces is any one part of a path."""
    described = {
        path: {
            "parameters": [
                {"name": name, "in": "path", "required": True, "schema": STRING}
                for name in re.findall(r"\{(\w+)\}", path)
            ],
            **methods,
        }
        for path, methods in paths.items()
    }
    return {"openapi": "3.0.3", "info": {"title": title, "version": "1"}, "paths": described}
