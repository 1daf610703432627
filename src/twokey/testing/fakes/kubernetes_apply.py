"""Who owns which field of a Secret, and what server-side apply makes of it: conflicts, takeovers, removals. Pure.

An owner is a field manager with an operation: ``Apply``, or ``Update`` for every other write. Data, labels and
annotations are granular maps, of which each key is a field of its own; all else is one field.

Sources: "Server-Side Apply", Kubernetes' documentation; what it leaves open follows Kubernetes' own code: ``patch.go``
of apiserver's handlers, ``conflict.go``, ``skipnonapplied.go`` and ``stripmeta.go`` of apimachinery's
``managedfields``, ``merge/update.go`` of structured-merge-diff.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Path = tuple[str, ...]
    Owner = tuple[str, str]
    Owners = dict[Owner, frozenset[Path]]

_MAPS = (("data",), ("metadata", "annotations"), ("metadata", "labels"))
_NOT_OWNED = {"apiVersion", "kind", "metadata", "data"}
_THE_SERVERS = {
    "annotations",
    "creationTimestamp",
    "deletionTimestamp",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "resourceVersion",
    "uid",
}
_UNTRACKED = ("before-first-apply", "Update")


class ApplyConflict(Exception):
    """Other owners' fields have other values. ``causes``: as in the details of Kubernetes' status object."""

    def __init__(self, message: str, causes: list[dict[str, str]]) -> None:
        super().__init__(message)
        self.message = message
        self.causes = causes


def updated(live: Mapping[str, Any], wanted: Mapping[str, Any], manager: str, now: str) -> dict[str, Any]:
    """Return ``wanted`` with its managed fields, as a write other than an apply leaves it.

    ``live`` is empty for a new object. The manager becomes the owner of the fields that change. An object without
    managed fields gets none before its first apply.
    """
    old, new = _fields(live), _fields(wanted)
    changed, gone = _changed(old, new), old.keys() - new.keys()
    owners = _owners(live)
    if not owners and live:
        return dict(wanted)
    left = {owner: held - changed - gone for owner, held in owners.items()}
    owner = (manager, "Update")
    left[owner] = left.get(owner, frozenset()) | changed
    return _with_owners(wanted, left, live, owner if changed else None, now)


def applied(live: Mapping[str, Any], body: Mapping[str, Any], manager: str, now: str, *, force: bool) -> dict[str, Any]:
    """Return what ``live`` is after an apply of ``body``; raises ``ApplyConflict``.

    A field is removed if the manager applied it before, applies it no longer, and no other manager owns it. If neither
    values nor owners change, the result equals ``live``.
    """
    owner = (manager, "Apply")
    before = _owners(live) or ({_UNTRACKED: frozenset(_fields(live))} if live else {})
    others = {one: held for one, held in before.items() if one != owner}
    fields = _applied_fields(body)
    given_up = before.get(owner, frozenset()) - fields.keys() - frozenset().union(*others.values())
    merged = _merged(live, fields, given_up)
    old, new = _fields(live), _fields(merged)
    changed, gone = _changed(old, new), old.keys() - new.keys()
    conflicts = sorted((one, path) for one, held in others.items() for path in held & changed)
    if conflicts and not force:
        raise _conflict(conflicts, live)
    left = {one: held - changed - gone for one, held in others.items()} | {owner: frozenset(fields)}
    same = not changed and not gone and _kept(left) == _owners(live)
    return copy.deepcopy(dict(live)) if same else _with_owners(merged, left, live, owner, now)


def managers(found: Mapping[str, Any], *path: str) -> set[Owner]:
    """Return the owners of a field of a Secret."""
    return {owner for owner, held in _owners(found).items() if path in held}


def _fields(found: Mapping[str, Any]) -> dict[Path, Any]:
    """Return the values of all fields that can be owned. A map is a field too, beside its keys."""
    metadata = found.get("metadata") or {}
    fields: dict[Path, Any] = {(name,): value for name, value in found.items() if name not in _NOT_OWNED}
    fields |= {("metadata", name): value for name, value in metadata.items() if name not in _THE_SERVERS}
    for path in _MAPS:
        held = (metadata if len(path) > 1 else found).get(path[-1])
        if held:
            fields |= {path: None, **{(*path, key): value for key, value in held.items()}}
    return fields


def _applied_fields(body: Mapping[str, Any]) -> dict[Path, Any]:
    """Return the fields that an apply names: its manager owns each key, and not the map around it."""
    return {path: value for path, value in _fields(body).items() if path not in _MAPS}


def _changed(old: Mapping[Path, Any], new: Mapping[Path, Any]) -> frozenset[Path]:
    return frozenset(path for path, value in new.items() if path not in old or old[path] != value)


def _merged(live: Mapping[str, Any], fields: Mapping[Path, Any], given_up: Iterable[Path]) -> dict[str, Any]:
    merged: dict[str, Any] = copy.deepcopy(dict(live))
    for path, value in fields.items():
        parent = merged
        for name in path[:-1]:
            parent = parent.setdefault(name, {})
        parent[path[-1]] = value
    for path in given_up:
        parent = merged
        for name in path[:-1]:
            parent = parent.get(name, {})
        parent.pop(path[-1], None)
    _drop_empty(merged)
    return merged


def _drop_empty(found: dict[str, Any]) -> None:
    """Remove maps without keys, which Kubernetes leaves out."""
    for path in _MAPS:
        parent = found.get("metadata", {}) if len(path) > 1 else found
        if not parent.get(path[-1], True):
            del parent[path[-1]]


def _owners(found: Mapping[str, Any]) -> Owners:
    entries = (found.get("metadata") or {}).get("managedFields") or []
    return {(one["manager"], one["operation"]): frozenset(_paths(one["fieldsV1"])) for one in entries}


def _paths(fields: Mapping[str, Any], path: Path = ()) -> Iterable[Path]:
    for name, inner in fields.items():
        here = path if name == "." else (*path, name.removeprefix("f:"))
        if inner:
            yield from _paths(inner, here)
        else:
            yield here


def _kept(owners: Owners) -> Owners:
    return {owner: held for owner, held in owners.items() if held}


def _with_owners(
    found: Mapping[str, Any], owners: Owners, live: Mapping[str, Any], acting: Owner | None, now: str
) -> dict[str, Any]:
    """Return an object with its owners in ``managedFields``. The time is that of the owner's last write."""
    times = _times(live)
    entries = [
        {
            "manager": manager,
            "operation": operation,
            "apiVersion": "v1",
            "time": now if (manager, operation) == acting else times.get((manager, operation), now),
            "fieldsType": "FieldsV1",
            "fieldsV1": _written(held),
        }
        for (manager, operation), held in sorted(_kept(owners).items())
    ]
    result = copy.deepcopy(dict(found))
    result.setdefault("metadata", {})["managedFields"] = entries
    return result


def _written(held: Iterable[Path]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for path in sorted(held):
        parent = fields
        for name in path:
            parent = parent.setdefault(f"f:{name}", {})
        if path in _MAPS:
            parent["."] = {}
    return fields


def _times(found: Mapping[str, Any]) -> dict[Owner, str]:
    entries = (found.get("metadata") or {}).get("managedFields") or []
    return {(one["manager"], one["operation"]): one["time"] for one in entries}


def _conflict(conflicts: list[tuple[Owner, Path]], live: Mapping[str, Any]) -> ApplyConflict:
    times = _times(live)
    conflicting = [(_manager_name(owner, times.get(owner, "")), f".{'.'.join(path)}") for owner, path in conflicts]
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {who}", "field": field}
        for who, field in conflicting
    ]
    if len(conflicting) == 1:
        return ApplyConflict(
            f"Apply failed with 1 conflict: conflict with {conflicting[0][0]}: {conflicting[0][1]}", causes
        )
    lines = []
    for manager in dict.fromkeys(who for who, _ in conflicting):
        lines += [f"conflicts with {manager}:", *(f"- {field}" for who, field in conflicting if who == manager)]
    return ApplyConflict(f"Apply failed with {len(conflicting)} conflicts: " + "\n".join(lines), causes)


def _manager_name(owner: Owner, time: str) -> str:
    manager, operation = owner
    at = f" at {time}" if time else ""
    return f'"{manager}"' if operation == "Apply" else f'"{manager}" using v1{at}'
