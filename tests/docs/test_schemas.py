"""The published schemas are those of the code, and what the commands print keeps to them."""

from __future__ import annotations

import importlib.util
import json
import os
from contextlib import chdir
from typing import TYPE_CHECKING, Any
from unittest import mock

import jsonschema
import pytest

from docs import pages
from support.commands import twokey
from twokey.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.commands import Ran

SCHEMAS = pages.ROOT / "src" / "twokey" / "schemas"
STORE = ("--store", "file:keys/{user}.json")


def test_schemas_are_current() -> None:
    """``python scripts/schemas.py`` has nothing to write."""
    spec = importlib.util.spec_from_file_location("schemas", pages.ROOT / "scripts" / "schemas.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    for name, text in script.schemas().items():
        assert (SCHEMAS / name).read_text(encoding="utf-8") == text, f"{name}: run python scripts/schemas.py"


@pytest.fixture(scope="module")
def aws() -> Iterator[Emulator]:
    """Users in every condition that a document can show."""
    with Emulator() as emulator:
        emulator.make_user("fresh", keys=0)
        emulator.make_user("one", keys=1)
        emulator.make_user("doubtful", keys=2)
        yield emulator


def printed(aws: Emulator, folder: Path, *arguments: str) -> Any:
    """Run a command for all users and one that does not exist; return the document that it prints."""
    ran = _run(aws, folder, *arguments, "fresh", "one", "doubtful", "nobody", *STORE, "--json")
    assert ran.code == 1, ran.err
    return ran.document


def test_what_is_printed_keeps_to_the_schemas(aws: Emulator, tmp_path: Path) -> None:
    """Real documents: rotations, refusals, a failure, nothing due, plans and status, before and after."""
    for command in ("plan", "adopt", "status", "rotate", "rotate", "plan", "status", "adopt"):
        document = printed(aws, tmp_path, command)
        schema = json.loads((SCHEMAS / f"{command}.schema.json").read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator(schema).validate(document)
        _no_field_is_unknown(document, schema)


def test_an_audit_log_and_its_verification_keep_to_their_schemas(aws: Emulator, tmp_path: Path) -> None:
    """Every line that a run writes, and what ``verify`` prints, of a good log and of a bad one."""
    aws.make_user("another", keys=1)
    file = tmp_path / "audit.log"
    _run(aws, tmp_path, "rotate", "another", *STORE, "--audit-log", str(file))
    line_schema = json.loads((SCHEMAS / "audit-log.schema.json").read_text(encoding="utf-8"))
    lines = file.read_text(encoding="utf-8").splitlines()
    assert len(lines) > 10
    for line in lines:
        jsonschema.Draft202012Validator(line_schema).validate(json.loads(line))
    schema = json.loads((SCHEMAS / "audit-log-verify.schema.json").read_text(encoding="utf-8"))
    for text in ("\n".join(lines) + "\n", "\n".join(lines[2:])):
        file.write_text(text, encoding="utf-8")
        document = json.loads(_run(aws, tmp_path, "audit-log", "verify", str(file), "--json").out)
        jsonschema.Draft202012Validator(schema).validate(document)
        _no_field_is_unknown(document, schema)


def _run(aws: Emulator, folder: Path, *arguments: str) -> Ran:
    with chdir(folder), mock.patch.dict(os.environ, aws.environment()):
        return twokey(*arguments)


def _no_field_is_unknown(document: Any, schema: Any) -> None:
    """The schema allows fields that are added later; today there are none but those that it names."""
    strict = json.loads(json.dumps(schema))
    for definition in strict["$defs"].values():
        definition["additionalProperties"] = False
    jsonschema.Draft202012Validator(strict).validate(document)
