"""The schema and the reference page stay what the code is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import msgspec
import pytest
import yaml

from twokey.alerts.settings import AlertsSchema, Receiver, Ses, Smtp, Webhook
from twokey.config.account_schema import AccountSchema, AccountsSchema, ChoiceSchema, OrganizationSchema
from twokey.config.hooks import HookSchema, HooksSchema
from twokey.config.load import load as load_file
from twokey.config.schema import Entry, FileSchema, RoleEntry, Rules, TierSchema, Verify, config_schema
from twokey.config.wave_schema import StopSchema, WaveSchema
from twokey.core.errors import UsageError
from twokey.planning.policy import RotationPolicy

if TYPE_CHECKING:
    from twokey.config.settings import Settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/configuration.md").read_text("utf-8")
SCHEMA = ROOT / "src/twokey/schemas/config.schema.json"
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
STORE = "secretsmanager:machine-users/{user}"
ENTRY = f"machine_users:\n  - path: a\n    store: {STORE}\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(text: str | bytes) -> Settings:
    file = Path("twokey.yaml")
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_file(file)


def test_the_published_schema_is_that_of_the_code() -> None:
    published = SCHEMA.read_text("utf-8")
    assert published == json.dumps(config_schema(), indent=2) + "\n", "make it anew: python scripts/schemas.py"


def test_the_schema_is_one_and_describes_every_key() -> None:
    schema = config_schema()

    jsonschema.Draft202012Validator.check_schema(schema)
    for definition in schema["$defs"].values():
        assert [key for key, value in definition["properties"].items() if "description" not in value] == []


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_of_the_page_loads_and_fits_the_schema(example: str) -> None:
    load(example)
    jsonschema.validate(yaml.safe_load(example), config_schema())


@pytest.mark.parametrize(
    "text",
    [
        "version: 1",
        f"version: 2\n{ENTRY}",
        f"version: 1\nwindw: 30d\n{ENTRY}",
        f"version: 1\nwindow: 30\n{ENTRY}",
        f"version: 1\nwindow: 30x\n{ENTRY}",
        f"version: 1\nwindow: 1M\n{ENTRY}",
        f"version: 1\nwindow: 30D\n{ENTRY}",
        f"version: 1\nwindow: 3 0d\n{ENTRY}",
        f"version: 1\n{ENTRY}    on_empty: ignore\n",
        f"version: 1\nconcurrency: 65\n{ENTRY}",
        f"version: 1\n{ENTRY}    excpt: [a]\n",
        f"version: 1\n{ENTRY}    verify: {{succeses: 1}}\n",
        f"version: 1\nmachine_users:\n  - store: {STORE}\n",
        "version: 1\nmachine_users:\n  - path: a\n",
        f"version: 1\nmachine_users:\n  - users: [no]\n    store: {STORE}\n",
    ],
)
def test_schema_and_reader_refuse_the_same(text: str) -> None:
    with pytest.raises(UsageError):
        load(text)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text), config_schema())


def test_the_page_lists_every_key_and_no_other() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)
    own = [*Verify.__struct_fields__, *Rules.__struct_fields__]
    structs = (
        FileSchema,
        Entry,
        RoleEntry,
        TierSchema,
        HooksSchema,
        HookSchema,
        AlertsSchema,
        Receiver,
        Webhook,
        Ses,
        Smtp,
    )
    of_accounts = (AccountsSchema, OrganizationSchema, AccountSchema, ChoiceSchema, WaveSchema, StopSchema)
    own += [
        field.encode_name
        for struct in (*structs, *of_accounts)
        for field in msgspec.structs.fields(struct)
        if field.name not in Rules.__struct_fields__
    ]

    assert sorted(key for key, *_ in rows) == sorted(own)


def test_the_page_gives_the_defaults_of_the_code() -> None:
    defaults = dict(re.findall(r"^\| `(\w+)` \| .+? \| `(.+?)` \|", PAGE, re.MULTILINE))
    definitions = config_schema()["$defs"]

    for name in ("FileSchema", "Verify"):
        for key, value in definitions[name]["properties"].items():
            stated = value.get("default")
            written = json.dumps(stated) if isinstance(stated, bool | int) else stated
            assert defaults.get(key) == written, key


def test_the_defaults_of_the_schema_are_those_of_the_policy() -> None:
    text = "\n".join(
        f"{key}: {json.dumps(value['default'])}"
        for key, value in config_schema()["$defs"]["FileSchema"]["properties"].items()
        if "default" in value
    )

    assert load(f"version: 1\n{text}\n{ENTRY}").selections[0].policy == RotationPolicy()
