"""Why an action is planned or refused: every reason, one sentence each. The values are part of the JSON output."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Reason(StrEnum):
    """A reason; ``sentence`` says what it means."""

    sentence: str

    def __new__(cls, value: str, sentence: str) -> Self:
        """Make a member that is its JSON value and carries its sentence."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.sentence = sentence
        return member

    # why something is done
    DUE = "due", "CURRENT has reached the end of its period."
    FORCED = "forced", "A rotation was requested although none is due."
    NO_KEY = "no_key", "The user has no access key, so none can be in use."
    STORE_EMPTY = "store_empty", "The store holds no key, and the user has fewer than two keys."
    KEY_GONE = "key_gone", "The store holds a key that IAM no longer lists, so jobs already fail."
    CURRENT_INACTIVE = "current_inactive", "The store holds a key that is Inactive, so jobs already fail."
    INTERRUPTED = "interrupted", "An earlier run was interrupted; this run finishes its work."
    OUT_OF_DATE = "out_of_date", "A destination does not hold CURRENT."
    RETIRE_REQUESTED = "retire_requested", "The operator requested the removal of this key."
    STILL_LISTED = "still_listed", "A key that was deleted is still listed; it is deleted again."
    DELIVERY_REQUESTED = "delivery_requested", "The operator requested this delivery."
    FORGET_REQUESTED = "forget_requested", "The operator requested that the journal forgets this destination."
    SOAK = "soak", "A key is made Inactive for the soak before it is deleted."
    MOVE_REQUESTED = "move_requested", "The operator requested that the user is moved to another store."
    EXISTING_KEY = "existing_key", "The user was managed outside twokey until now; twokey takes over."

    LEAKED = "leaked", "A key has leaked: it was made Inactive, and jobs need another one."
    REVOKED = "revoked", "A revoked key is deleted, as the operator requested."

    HOOK_DUE = "hook_due", "The hook `after` has not succeeded since the latest commit; this run runs it."

    # why nothing is done
    NOT_DUE = "not_due", "CURRENT has not reached the end of its period."
    HELD = "held", "Every selected destination already holds CURRENT."
    SOAKING = "soaking", "A key is Inactive, and its soak is not over."
    MANAGED = "managed", "The journal names CURRENT, and the store holds it."

    # why it is refused
    MOVED = "moved", "The user was moved to another store: this one is not its store any more."
    MOVE_UNFINISHED = "move_unfinished", "A move of the user to this store was begun and is not finished."
    GRACE = "grace", "Jobs in flight may still use LAST: its grace is not over."
    IN_USE = "in_use", "LAST was used recently: a job still depends on it."
    SESSIONS_LEFT = "sessions_left", "Sessions that the leaked key may have made could not all be ended."
    REVOKED_KEPT = "revoked_kept", "A revoked key is kept Inactive, and leaves no room for another key."
    CONTESTED = "contested", "Another program keeps writing to a destination between the runs."
    LAST_HELD = "last_held", "A destination holds LAST, or may hold it, and this run cannot deliver CURRENT there."
    UNMANAGED_KEY = "unmanaged_key", "The user has a key that twokey did not create and the journal does not name."
    CANNOT_ATTRIBUTE = "cannot_attribute", "twokey cannot determine which key is in use."
    DESTINATIONS_DIFFER = (
        "destinations_differ",
        "Two destinations hold different keys, and twokey cannot determine which should be CURRENT.",
    )
    NOT_LISTED = "not_listed", "The key that was found is not one of this user's keys."
    INACTIVE = "inactive", "The key that was found is Inactive."
    UNVERIFIED = "unverified", "The credential that was found does not authenticate as this user."
    ROLLED_BACK = "rolled_back", "The store holds a different key than the one that the journal names as CURRENT."
    RETIRE_HELD = "retire_held", "A destination holds, or may hold, the key to retire."
    RETIRE_UNKNOWN = "retire_unknown", "The key to retire is not one of the user's keys."
    OWN_KEY = "own_key", "twokey itself runs with a key of this user."
    STILL_CONFIGURED = "still_configured", "The destination to forget is configured for the user."
    NOT_RECORDED = "not_recorded", "The journal does not name the destination to forget."
    UNCONFIRMED = (
        "unconfirmed",
        "The destination to forget may hold a key, and the operator has not confirmed that no job reads it there.",
    )
    USER_RECREATED = "user_recreated", "The user was deleted and created again since the journal was written."
    UNREADABLE = "unreadable", "Something that the decision depends on cannot be read."
    PREFLIGHT = "preflight", "A write that the rotation needs would fail."
    CLOCK_SKEW = "clock_skew", "The clocks of this machine and of AWS differ by more than a minute."
    LEASE_HELD = "lease_held", "Another run is working on this user."
    WAVE_STOPPED = "wave_stopped", "An earlier wave did not end well, so that this user or account was not begun."
    TOO_MANY_ACCOUNTS = "too_many_accounts", "Users of more accounts are selected than one run may change."
    TOO_MANY_USERS = "too_many_users", "More users are selected than one run may change."
    PLAN_CHANGED = "plan_changed", "What would be done, or what it is decided from, is not what the plan says."
    PLAN_EXPIRED = "plan_expired", "The plan is older than a plan may be."
    PLAN_INVALID = "plan_invalid", "The file is not a plan as twokey wrote it, or it is not signed as it has to be."
    NOT_PLANNED = "not_planned", "The user is not in the plan."

    # why it failed
    HOOK_FAILED = "hook_failed", "A program that is configured around rotations failed."
    NOT_VERIFIED = "not_verified", "The new key did not work in time and was deleted."
    DELIVERY_FAILED = "delivery_failed", "CURRENT could not be delivered to a destination; the next run continues."
    LEASE_LOST = "lease_lost", "Another run took over the lease, or the lease expired."
    STOPPED = "stopped", "The run was stopped; the next run continues."
    ERROR = "error", "An error occurred."


class Outcome(StrEnum):
    """How a run ended for one user; part of the JSON output."""

    ROTATED = "rotated"
    COMPLETED = "completed"
    RETIRED = "retired"
    NOT_DUE = "not_due"
    REFUSED = "refused"
    FAILED = "failed"


class Revocation(StrEnum):
    """How a revocation ended for one user; part of the JSON output."""

    REVOKED = "revoked"
    CONTAINED = "contained"
    REFUSED = "refused"
    FAILED = "failed"


class Ending(StrEnum):
    """How a takeover ended for one user; part of the JSON output."""

    ADOPTED = "adopted"
    NOTHING = "nothing"
    REFUSED = "refused"
    FAILED = "failed"
