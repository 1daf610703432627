"""What a destination returns is checked: whatever is invalid is named with its field, and with what is expected."""

from __future__ import annotations

from typing import Any

import pytest

from twokey.core.destination import Receipt, Traits, holding_of, receipt_of, record_of
from twokey.core.errors import ExitCode, unforeseen
from twokey.core.fields import InvalidKind, InvalidReturn
from twokey.core.journal import Journal
from twokey.core.model import CannotTell, Held, NotHeld, Record
from twokey.core.secret import Credential

CREDENTIAL = Credential("AKIA1", "a secret")


def traits(**changes: Any) -> Traits:
    return Traits(**{"atomic": True, "conditional": False, "confirms": "value", **changes})


def receipt(**changes: Any) -> Receipt:
    return Receipt(**{"key_id": "AKIA1", "written": True, **changes})


class Returning:
    """A destination whose methods return this."""

    def __init__(self, value: object) -> None:
        self.value: Any = value
        self.name = "locker:ci"

    def held(self) -> Any:
        return self.value

    def deliver(self, credential: Credential) -> Any:
        assert credential is CREDENTIAL
        return self.value


class TestTraits:
    @pytest.mark.parametrize("confirms", ["value", "last4", "timestamp", "nothing"])
    def test_with_what_can_be_confirmed_are_valid(self, confirms: str) -> None:
        assert traits(confirms=confirms).confirms == confirms

    @pytest.mark.parametrize(
        ("field", "value", "why"),
        [
            ("atomic", 1, "has the type int; expected bool"),
            ("conditional", None, "has the type NoneType; expected bool"),
            ("confirms", None, "has the type NoneType; expected str"),
            ("confirms", "valu", "is 'valu'; expected one of value, last4, timestamp, nothing"),
            ("confirms", "", "is ''; expected one of value, last4, timestamp, nothing"),
            ("atomc", True, "is unknown; did you mean atomic?"),
        ],
    )
    def test_with_an_invalid_field_are_refused(self, field: str, value: object, why: str) -> None:
        with pytest.raises(InvalidKind) as refused:
            traits(**{field: value})
        assert str(refused.value) == f"Traits: the field `{field}` {why}"

    def test_without_a_field_are_refused(self) -> None:
        with pytest.raises(InvalidKind, match=r"^Traits: the field `conditional` is missing$"):
            Traits(atomic=True, confirms="value")  # type: ignore[call-arg]


class TestAReceipt:
    def test_with_valid_fields_is_one(self) -> None:
        assert (receipt(), receipt(written=False).stamp) == (Receipt("AKIA1", written=True), "")

    @pytest.mark.parametrize(
        ("field", "value", "why"),
        [
            ("key_id", None, "has the type NoneType; expected str"),
            ("written", 1, "has the type int; expected bool"),
            ("stamp", 7, "has the type int; expected str"),
            ("writen", True, "is unknown; did you mean written?"),
        ],
    )
    def test_with_an_invalid_field_is_refused(self, field: str, value: object, why: str) -> None:
        with pytest.raises(InvalidKind) as refused:
            receipt(**{field: value})
        assert str(refused.value) == f"Receipt: the field `{field}` {why}"


class TestWhatAMethodReturns:
    @pytest.mark.parametrize("holding", [Held("AKIA1"), NotHeld(), CannotTell(), CannotTell("why", stamp="1")])
    def test_is_a_holding(self, holding: object) -> None:
        assert holding_of(Returning(holding)) is holding
        record = Record(holding, Journal())
        assert record_of(lambda: record) is record

    @pytest.mark.parametrize(
        ("value", "why"),
        [
            (None, "`held` returned None; expected Held, NotHeld or CannotTell"),
            ("AKIA1", "`held` returned a value of the type str; expected Held, NotHeld or CannotTell"),
            (Held, "`held` returned a value of the type type; expected Held, NotHeld or CannotTell"),
            (Held(None), "Held: the field `key_id` has the type NoneType; expected str"),  # type: ignore[arg-type]
            (CannotTell(stamp=1), "CannotTell: the field `stamp` has the type int; expected str"),  # type: ignore[arg-type]
            (CannotTell(why=None), "CannotTell: the field `why` has the type NoneType; expected str"),  # type: ignore[arg-type]
            (CannotTell(failed="no"), "CannotTell: the field `failed` has the type str; expected bool"),  # type: ignore[arg-type]
        ],
    )
    def test_is_refused_where_it_is_no_holding(self, value: object, why: str) -> None:
        with pytest.raises((InvalidReturn, InvalidKind)) as refused:
            holding_of(Returning(value))
        assert str(refused.value) == why

    def test_is_a_receipt(self) -> None:
        done: Any = Returning(receipt())
        assert receipt_of(done, CREDENTIAL) is done.value

    @pytest.mark.parametrize("value", [None, True])
    def test_is_refused_where_it_is_no_receipt(self, value: object) -> None:
        done: Any = Returning(value)
        with pytest.raises(InvalidReturn, match=r"^`deliver` returned .*; expected Receipt$"):
            receipt_of(done, CREDENTIAL)

    @pytest.mark.parametrize(
        ("value", "why"),
        [
            (None, "`load` returned None; expected Record"),
            (
                Record(None, Journal()),  # type: ignore[arg-type]
                "Record: the field `holding` has the type NoneType; expected Held, NotHeld or CannotTell",
            ),
            (Record(NotHeld(), b""), "Record: the field `journal` has the type bytes; expected Journal"),  # type: ignore[arg-type]
            (Record(Held(1), Journal()), "Held: the field `key_id` has the type int; expected str"),  # type: ignore[arg-type]
        ],
    )
    def test_is_refused_where_it_is_no_record(self, value: Any, why: str) -> None:
        with pytest.raises((InvalidReturn, InvalidKind)) as refused:
            record_of(lambda: value)
        assert str(refused.value) == why


REMEDY = (
    "If it has a connection, check that the connection's url is that of the service, in a version that twokey "
    "supports. Then run again. If the error persists, report this message, which holds no secret, to the maintainers "
    "of twokey, or of the package that adds this kind of destination."
)


def raised(error: Exception) -> Exception:
    try:
        raise error
    except type(error):
        return error


class TestAnUnforeseenException:
    def test_is_shown_by_its_type_and_line_and_not_by_its_text(self) -> None:
        error = unforeseen("locker:ci", raised(KeyError("a secret")))
        assert error.exit_code is ExitCode.FAILED
        assert error.message.startswith(
            "locker:ci: the code that reads or writes it has a bug, or received what it does not expect "
            "(KeyError at raised, line "
        )
        assert error.message.endswith(" of test_destination.py).")
        assert (error.state, error.remedy) == ("Whether anything was written there is unknown.", REMEDY)

    def test_without_a_traceback_is_shown_by_its_type(self) -> None:
        assert "does not expect (KeyError)." in unforeseen("locker:ci", KeyError("a secret")).message

    def test_while_reading_has_written_nothing(self) -> None:
        assert unforeseen("locker:ci", KeyError(), reading=True).state == ""

    def test_of_an_invalid_value_is_a_bug_that_only_its_maintainers_can_fix(self) -> None:
        error = unforeseen("locker:ci", raised(InvalidReturn("held", None, "Held")))
        assert error.message == (
            "locker:ci: the code that reads or writes it has a bug (`held` returned None; expected Held)."
        )
        assert error.remedy == (
            "Report this message, which holds no secret, to the maintainers of twokey, or of the package that adds "
            "this kind of destination."
        )
