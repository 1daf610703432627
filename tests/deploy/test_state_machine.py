"""The state machine is what Step Functions accepts, and says of each retry why it is safe."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.engines import DEFINITION, definition
from twokey.core import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

LINT = Path(__file__).parents[2] / ".venv-deploy" / "bin" / "cfn-lint"
ROLE = "arn:aws:iam::123456789012:role/states"


def states(part: Any) -> Iterator[dict[str, Any]]:
    """Yield every state, those of nested Maps too."""
    for state in part["States"].values():
        yield state
        if "ItemProcessor" in state:
            yield from states(state["ItemProcessor"])


@pytest.mark.skipif(not LINT.exists(), reason="cfn-lint: make deploy-tools")
def test_cfn_lint_finds_nothing_wrong(tmp_path: Path) -> None:
    properties = {"RoleArn": ROLE, "Definition": json.loads(definition())}
    machine = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}
    file = tmp_path / "machine.json"
    file.write_text(json.dumps({"Resources": {"Machine": machine}}))
    ran = subprocess.run([LINT, file], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "")


def test_has_the_placeholders_that_terraform_fills_in_and_no_other() -> None:
    found = set(re.findall(r"[$%]\{(\w*)", DEFINITION.read_text(encoding="utf-8")))
    assert found == {"function_arn", "bucket", "concurrency", "tolerated_failures"}


def test_every_retry_says_why_it_is_safe_and_none_is_about_an_error_of_twokey() -> None:
    retries = [retry for state in states(json.loads(definition())) for retry in state.get("Retry", ())]
    assert len(retries) == 3
    for retry in retries:
        assert retry["Comment"]
        assert not [name for name in retry["ErrorEquals"] if hasattr(errors, name) or name == "States.ALL"]
