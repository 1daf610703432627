"""The text of a document of results, entry by entry."""

from __future__ import annotations

import pytest

from twokey.core.model import MachineUser
from twokey.core.reasons import Outcome, Reason
from twokey.reports import documents
from twokey.rotation.results import DeliveryResult, Result

USER = MachineUser("ci", "/machine-users/", "AIDAEXAMPLE", "123456789012", "arn:aws:iam::123456789012:user/ci")
HELD = DeliveryResult("file:ci.json", "held")
RESULTS = [
    Result(USER, Outcome.ROTATED, Reason.DUE, 'A message with "quotes"\nand a line break.', removed=("AKIAEXAMPLE",)),
    Result(USER, Outcome.NOT_DUE, Reason.NOT_DUE, "", destinations=(HELD,), warnings=("A warning.", "Another one.")),
    Result(USER, Outcome.NOT_DUE, Reason.NOT_DUE, "ü"),
]


@pytest.mark.parametrize("count", range(len(RESULTS) + 1))
def test_the_parts_of_a_document_are_the_text_of_the_whole(count: int) -> None:
    results = RESULTS[:count]
    whole = documents.encode(documents.results_document(results))
    assert "".join(documents.encode_results(map(documents.result_entry, results))) == whole
