"""The tables of docs/explanation/at-scale.md are what its script prints, and its inputs are the script's."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from twokey.core.reasons import Outcome
from twokey.planning.policy import RotationPolicy, Verification

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "at-scale.md"
OF_ALL_USERS = ("GetRole", "SimulatePrincipalPolicy")
"""What a run asks once: whether it may create keys."""
if TYPE_CHECKING:
    from collections.abc import Callable

    from scripts import at_scale
    from scripts import at_scale_simulation as simulation

    from support.rig import Rig
else:
    sys.path.insert(0, str(ROOT / "scripts"))
    import at_scale
    import at_scale_simulation as simulation


@pytest.mark.parametrize(("name", "print_table"), [("TABLE", at_scale.table), ("SIZES", at_scale.sizes)])
def test_the_tables_are_what_the_script_prints(name: str, print_table: Callable[[Any], str]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    table = print_table(at_scale.Assumptions())
    if os.environ.get("UPDATE_DOCS"):
        heading = re.escape(table.partition("\n")[0])
        PAGE.write_text(re.sub(rf"{name}\n|{heading}\n(?:\|.*\n)+", lambda _: f"{table}\n", text, count=1))
        text = PAGE.read_text(encoding="utf-8")
    assert f"\n{table}\n\n" in text


def test_a_rotation_sends_the_requests_that_are_simulated_in_their_order(rig: Rig) -> None:
    rig.policy = RotationPolicy(settle=timedelta(0), verification=Verification(interval=timedelta(0)))
    rig.settled()
    rig.rotate()
    rig.later(days=16)
    rig.aws.clear_requests()
    assert rig.rotate().outcome is Outcome.ROTATED
    sent = [one for one in rig.aws.requests if one.operation not in ("GetUser", *OF_ALL_USERS)]
    own = rig.aws.admin.access_key_id
    services = [one.service for one in sent if one.service != "sts" or one.access_key_id != own]
    assert tuple(services) == simulation.SERVICES


def test_a_chunk_takes_longer_than_its_users_take_from_iam_and_slow_keys_longer_still() -> None:
    given = at_scale.parsed(["accounts=10", "users=400", "users_per_chunk=400", "faults=0"])
    quick = simulation.simulate(dataclasses.replace(given, works_from=0.1, works_to=0.2))
    slow = simulation.simulate(given)
    least = 400 * quick.iam_requests / given.iam_rate
    assert least < quick.account_p50 < least + 10 < slow.account_p50 < least + 30
    assert quick.failed == 0


def test_with_half_a_gigabyte_the_processor_keeps_up_with_iam_and_with_a_quarter_it_does_not() -> None:
    given = at_scale.parsed(["accounts=10", "users=1000"])
    whole, half, quarter = (
        simulation.simulate(dataclasses.replace(given, memory_gb=memory)).account_p50 for memory in (1.769, 0.5, 0.25)
    )
    assert half < 1.02 * whole
    assert quarter > 1.1 * whole


def test_users_that_the_deadline_leaves_are_in_another_invocation_of_their_chunk() -> None:
    given = at_scale.parsed(["accounts=1", "users=400", "users_per_chunk=400", "deadline=300"])
    assert simulation.simulate(given).invocations == 2


def test_the_example_of_other_figures_runs() -> None:
    (example,) = re.findall(r"python scripts/at_scale\.py (.*)", PAGE.read_text(encoding="utf-8"))
    given = at_scale.parsed(example.split())
    assert (given.accounts, given.users, given.concurrency) == (200, 10, 32)
    assert "| users | 2,000 | the same |" in at_scale.table(given)


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
