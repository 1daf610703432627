"""The table of docs/explanation/at-scale.md is what its script computes, and its inputs are the script's."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "at-scale.md"
if TYPE_CHECKING:
    from scripts import at_scale
else:
    sys.path.insert(0, str(ROOT / "scripts"))
    import at_scale


def test_the_table_is_what_the_script_computes() -> None:
    text = PAGE.read_text(encoding="utf-8")
    table = at_scale.table(at_scale.Assumptions())
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(re.sub(r"TABLE|\| what \| figure \|\n(?:\|.*\n)+", lambda _: f"{table}\n", text, count=1))
        text = PAGE.read_text(encoding="utf-8")
    assert table in text


def test_the_example_of_other_figures_runs() -> None:
    (example,) = re.findall(r"python scripts/at_scale\.py (.*)", PAGE.read_text(encoding="utf-8"))
    given = at_scale.parsed(example.split())
    assert (given.accounts, given.users, given.concurrency) == (200, 10, 32)
    assert "| users | 2,000 |" in at_scale.table(given)


def test_the_page_names_the_prices_of_the_script() -> None:
    text, given = PAGE.read_text(encoding="utf-8"), at_scale.Assumptions()
    for price in (
        f"{given.lambda_gb_second:.10f} USD for a GB-second",
        f"{given.lambda_request * 1e6:.2f} USD for a million requests",
        f"{given.transition * 1000:.3f} USD for 1,000 state transitions",
        f"{given.store_request * 1e4:.2f} USD for 10,000 requests, {given.secret_month:.2f} USD for a secret",
        f"{given.s3_put * 1000:.3f} USD for 1,000 PUT, {given.s3_get * 1000:.4f} USD for 1,000 GET",
    ):
        assert price in text
