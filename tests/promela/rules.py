"""What the models are asked: the protocol, the protocol without each of its rules, and the naive rotation."""

from __future__ import annotations

from dataclasses import dataclass

INVARIANTS = {
    "I1": "Every destination's key exists and works.",
    "I2": "A job's key works until the job's grace is over.",
    "I3": "A key that a destination holds is never removed.",
    "I4": (
        "One undisturbed run leaves one working key everywhere and a clean journal, "
        "or refuses and names an unmanaged key."
    ),
    "I5": "A key is created only while fewer than two exist.",
    "I6": "The next run removes an orphaned key.",
    "I7": "An unmanaged key is never touched.",
    "L1": "A leaked key that was made Inactive is never Active again.",
    "L2": "A leaked key that the journal names is deleted only while it is Inactive, and if the operator allows it.",
    "L3": "The leaked key is Inactive before a revocation does anything else.",
    "L4": (
        "One undisturbed revocation leaves the leaked key Inactive and another key everywhere, "
        "or says that there is no room for one."
    ),
    "M1": "At most one store rotates the user.",
    "M2": "When the user changes store, both hold the same key, and both journals say the same.",
}


@dataclass(frozen=True, slots=True)
class Configuration:
    """A model, with its ``-D`` options, in which the protocol holds."""

    options: tuple[str, ...] = ()
    model: str = "rotation"


PROTOCOL = {
    "one run at a time": Configuration(),
    "one run at a time, and an operator": Configuration(("OPERATOR",)),
    "two runs at once": Configuration(("RUNS=2", "GRACE=1")),
    "two runs at once, and an operator": Configuration(("RUNS=2", "GRACE=1", "OPERATOR")),
    "a move to another store, and a run from each": Configuration(model="move"),
    "two runs at once, on a store without conditions, with a lock": Configuration(model="lock"),
    "a revocation, and a schedule that rotates": Configuration(model="revoke"),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the protocol, the invariant that breaks without it, what must be there for that, and the model."""

    broken: str
    options: tuple[str, ...] = ()
    model: str = "rotation"


_ALONE = ("GRACE=1",)
_TWO = ("RUNS=2", "GRACE=1")
RULES = {
    "held": Rule("I3", _ALONE),
    "finish": Rule("I4", _ALONE),
    "grace": Rule("I2", _ALONE),
    "grace_from_commit": Rule("I2", _ALONE),
    "intent": Rule("I6", _ALONE),
    "fresh_intent": Rule("I6", _ALONE),
    "single_attempt": Rule("I5", _ALONE),
    "settle": Rule("I5", _ALONE),
    "attribution": Rule("I7", (*_ALONE, "OPERATOR")),
    "verify": Rule("I1", _ALONE),
    "store_first": Rule("I3", _ALONE),
    "doubt": Rule("I3", _ALONE),
    "journal_fence": Rule("I5", _TWO),
    "store_condition": Rule("I3", _TWO),
    "orphan_fence": Rule("I3", _TWO),
    "lease_at_delivery": Rule("I3", _TWO),
    "arriving": Rule("M1", model="move"),
    "switch_first": Rule("M1", model="move"),
    "source_lease": Rule("M2", model="move"),
    "source_fence": Rule("M2", model="move"),
    "record": Rule("I1", model="move"),
    "earlier_record": Rule("I3", model="move"),
    "former": Rule("M2", model="move"),
    "whole": Rule("M2", model="move"),
    "lock": Rule("I6", model="lock"),
    "lock_before_request": Rule("I6", model="lock"),
    "lock_and_versions": Rule("I6", model="lock"),
    "contained_first": Rule("L3", model="revoke"),
    "stays_inactive": Rule("L1", model="revoke"),
    "revoked": Rule("L2", model="revoke"),
    "replaced": Rule("L4", model="revoke"),
    "last_stays": Rule("I2", model="revoke"),
    "allowed": Rule("L2", model="revoke"),
    "kept": Rule("L2", model="revoke"),
}
"""Each rule by the name that the model leaves it out by: ``-DWITHOUT_name``."""


@dataclass(frozen=True, slots=True)
class Naive:
    """A variant of the naive rotation, by the heading under which its page describes it."""

    broken: str
    options: tuple[str, ...]


NAIVE = {
    "One lost response": Naive("I3", ("VERIFY", "ONLY=I3")),
    "No fault at all, run twice": Naive("I2", ("VERIFY", "FAULTLESS")),
    "Spaced by grace, but from the wrong moment": Naive("I2", ("VERIFY", "FAULTLESS", "SPACED")),
    "Stored before it works": Naive("I1", ("FAULTLESS",)),
    "Delete what the store does not hold": Naive("I3", ("VERIFY", "ASK_THE_STORE", "ONLY=I3")),
}
