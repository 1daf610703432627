"""Why an action is planned or refused: every reason, one sentence each. The values are part of the JSON output."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Reason(StrEnum):
    """A reason; ``sentence`` is what it means to a person."""

    sentence: str

    def __new__(cls, value: str, sentence: str) -> Self:
        """Make a member that is its JSON value and carries its sentence."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.sentence = sentence
        return member

    # why something is done
    DUE = "due", "CURRENT has served for one period."
    FORCED = "forced", "A rotation was asked for although none is due."
    NO_KEY = "no_key", "The user has no key, so nothing can be in use."
    STORE_EMPTY = "store_empty", "The store holds no key, and there is room for one."
    KEY_GONE = "key_gone", "The store holds a key that IAM no longer lists: jobs fail already."
    CURRENT_INACTIVE = "current_inactive", "The store holds a key that is Inactive: jobs fail already."
    INTERRUPTED = "interrupted", "An earlier run was interrupted; this one finishes its work."
    OUT_OF_DATE = "out_of_date", "A destination does not hold CURRENT."
    RETIRE_REQUESTED = "retire_requested", "A person said that this key may go."
    STILL_LISTED = "still_listed", "A key that was deleted before is still listed; it is deleted again."
    DELIVERY_REQUESTED = "delivery_requested", "A person asked for this delivery."
    SOAK = "soak", "A key is made Inactive for the soak before it is deleted."
    EXISTING_KEY = "existing_key", "The user was managed by hand until now; the journal takes over."

    # why nothing is done
    NOT_DUE = "not_due", "CURRENT is younger than one period."
    HELD = "held", "Every destination that is meant holds CURRENT already."
    SOAKING = "soaking", "A key is Inactive and its soak is not over."
    MANAGED = "managed", "The journal names CURRENT, and the store holds it."

    # why it is refused
    GRACE = "grace", "LAST may still be in use by jobs in flight: its grace is not over."
    IN_USE = "in_use", "LAST was used lately: somebody still depends on it."
    LAST_HELD = "last_held", "A destination holds LAST, and there is no working CURRENT to replace it."
    UNMANAGED_KEY = "unmanaged_key", "There is a key that twokey did not make and the journal does not name."
    CANNOT_ATTRIBUTE = "cannot_attribute", "Nobody can tell which key is in use."
    DESTINATIONS_DIFFER = (
        "destinations_differ",
        "Two places hold different keys, and nobody can tell which should be CURRENT.",
    )
    NOT_LISTED = "not_listed", "The key that was found is no key of this user."
    INACTIVE = "inactive", "The key that was found is Inactive."
    UNVERIFIED = "unverified", "The credential that was found does not authenticate as this user."
    ROLLED_BACK = "rolled_back", "The store holds another key than the journal calls CURRENT."
    RETIRE_HELD = "retire_held", "The key to retire is held by a destination."
    RETIRE_UNKNOWN = "retire_unknown", "The key to retire is not among the user's keys."
    OWN_KEY = "own_key", "twokey itself is running with a key of this user."
    USER_RECREATED = "user_recreated", "The user was deleted and made again since the journal was written."
    UNREADABLE = "unreadable", "Something that the decision rests on cannot be read."
    PREFLIGHT = "preflight", "A write that the rotation needs would fail."
    CLOCK_SKEW = "clock_skew", "This machine's clock and AWS's clock are apart."
    LEASE_HELD = "lease_held", "Another run is rotating this user."
    TOO_MANY_USERS = "too_many_users", "More users are selected than may be touched in one run."

    # why it failed
    NOT_VERIFIED = "not_verified", "The created key did not work in time and was removed again."
    DELIVERY_FAILED = "delivery_failed", "A destination could not be given CURRENT; the next run goes on."
    LEASE_LOST = "lease_lost", "Another run took over, or the lease ran out."
    STOPPED = "stopped", "The run was stopped; the next run goes on."
    ERROR = "error", "An error came between."


class Outcome(StrEnum):
    """How a run ended for one user; part of the JSON output."""

    ROTATED = "rotated"
    COMPLETED = "completed"
    RETIRED = "retired"
    NOT_DUE = "not_due"
    REFUSED = "refused"
    FAILED = "failed"


class Ending(StrEnum):
    """How it ended for one user; part of the JSON output."""

    ADOPTED = "adopted"
    NOTHING = "nothing"
    REFUSED = "refused"
    FAILED = "failed"
