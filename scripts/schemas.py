"""Writes the published JSON Schemas from the code that they describe: python scripts/schemas.py."""

from __future__ import annotations

import json
from pathlib import Path

from twokey.alerts import messages
from twokey.audit_log import records
from twokey.config.schema import config_schema
from twokey.reports import documents
from twokey.revocation import evidence

FOLDER = Path(__file__).parents[1] / "src" / "twokey" / "schemas"


def schemas() -> dict[str, str]:
    """Return each schema's file name and its text."""
    found = {name: documents.schema(name) for name in documents.DOCUMENTS}
    found |= {"config": config_schema(), "audit-log": records.schema(), "alert": messages.schema()}
    found["evidence"] = evidence.schema()
    return {
        f"{'-'.join(name.replace('--', '').split())}.schema.json": json.dumps(schema, indent=2) + "\n"
        for name, schema in found.items()
    }


def main() -> None:
    """Write them."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in schemas().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
