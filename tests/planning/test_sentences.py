"""What the operator reads for every state: the sentence, word for word, beside the decision and its steps."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from support.builders import NOW, ago, journal, key, observation_of
from twokey.core.journal import Delivery, Intent, Retiring
from twokey.core.model import CannotTell, Held, NotHeld
from twokey.planning.decision import plan
from twokey.planning.plan import Overrides
from twokey.planning.policy import RotationPolicy

K1, K2 = key("K1", days=31), key("K2", days=16)
SETTLED = {"current": "K2", "last": "K1", "committed": ago(days=16)}
FRESH = {"current": "K2", "last": "K1", "committed": ago(days=1)}
SOAK = RotationPolicy(soak=timedelta(days=2))

# name: what is observed, and what is requested under which policy
STATES: dict[str, tuple[Any, dict[str, Any]]] = {
    "unreadable": (observation_of(K1, holding=CannotTell("no permission to read it")), {}),
    "own key": (observation_of(K1, K2, held="K2", journal=journal(**SETTLED), own_key="K1"), {}),
    "user created again": (observation_of(K1, held="K1", journal=journal(user="AIDAOLD", current="K1")), {}),
    "list may lag": (observation_of(K1, held="K2", journal=journal(current="K2", committed=ago(seconds=5))), {}),
    "retired key held": (
        observation_of(K1, K2, held="K2", destinations={"ci:x": Held("K1"), "ci:y": Held("K1")}),
        {"overrides": Overrides(retire=frozenset({"K1"}))},
    ),
    "retired key unknown": (
        observation_of(K1, K2, held="K2", journal=journal(**SETTLED)),
        {"overrides": Overrides(retire=frozenset({"K8", "K9"}), all_theirs=True)},
    ),
    "retired key of a user without keys": (
        observation_of(),
        {"overrides": Overrides(retire=frozenset({"K9"}), all_theirs=True)},
    ),
    "retired key is twokey's own": (
        observation_of(K1, K2, held="K2", own_key="K1"),
        {"policy": RotationPolicy(rotate_self=True), "overrides": Overrides(retire=frozenset({"K1"}))},
    ),
    "unfinished": (
        observation_of(
            K1,
            K2,
            key("K3", created=ago(minutes=5)),
            held="K3",
            journal=journal(current="K2", last="K1", intent=Intent(("K1", "K2"), ago(minutes=5))),
        ),
        {},
    ),
    "rolled back": (observation_of(K1, K2, held="K1", journal=journal(**SETTLED)), {}),
    "no key": (observation_of(), {}),
    "store empty": (observation_of(K1), {}),
    "stored key gone": (observation_of(K1, held="K0"), {}),
    "stored key gone, no other": (observation_of(held="K0"), {}),
    "two keys, store empty": (observation_of(K1, K2, last_used={"K1": ago(hours=3), "K2": None}), {}),
    "two keys, stored key gone": (observation_of(K1, K2, held="K0", last_used={"K1": ago(hours=3), "K2": None}), {}),
    "one unmanaged key": (
        observation_of(
            K1,
            K2,
            key("K9", days=3, active=False),
            held="K2",
            journal=journal(**SETTLED),
            last_used={"K9": ago(days=2)},
        ),
        {},
    ),
    "two unmanaged keys": (
        observation_of(
            K2,
            key("K8", days=3),
            key("K9", days=3),
            held="K2",
            journal=journal(current="K2", committed=ago(days=1)),
            last_used={"K8": None, "K9": None},
        ),
        {},
    ),
    "out of date": (
        observation_of(
            K1, K2, held="K2", journal=journal(**FRESH), destinations={"ci:x": Held("K1"), "ci:y": NotHeld()}
        ),
        {},
    ),
    "out of date by the journal": (
        observation_of(
            K1,
            K2,
            held="K2",
            journal=journal(**FRESH, delivered={"ci:x": Delivery("K1", ago(days=9))}),
            destinations={"ci:x": Held("K2")},
        ),
        {},
    ),
    "retire": (
        observation_of(K1, K2, key("K8", days=3), key("K9", days=3), held="K2", journal=journal(**FRESH)),
        {"overrides": Overrides(retire=frozenset({"K8", "K9"}))},
    ),
    "still listed": (
        observation_of(K1, K2, key("K0", days=40), held="K2", journal=journal(**FRESH, removed={"K0": ago(days=1)})),
        {},
    ),
    "not due": (observation_of(K1, K2, held="K2", journal=journal(**FRESH)), {}),
    "not due without a journal": (observation_of(key("K1", days=1), held="K1"), {}),
    "due": (observation_of(K1, K2, held="K2", journal=journal(**SETTLED)), {}),
    "orphan": (
        observation_of(
            K2,
            key("K3", created=ago(minutes=5)),
            held="K2",
            journal=journal(**FRESH, intent=Intent(("K1", "K2"), ago(minutes=5))),
        ),
        {},
    ),
    "due, with keys to remove": (
        observation_of(
            K1,
            K2,
            key("K9", days=3),
            key("K0", days=40),
            held="K2",
            journal=journal(**SETTLED, removed={"K0": ago(days=1)}),
        ),
        {"overrides": Overrides(retire=frozenset({"K9"}))},
    ),
    "accepted": (
        observation_of(K1, K2, held="K2", journal=journal(**SETTLED)),
        {"overrides": Overrides(ignore_last_use=True)},
    ),
    "last is own": (
        observation_of(K1, K2, held="K2", journal=journal(**SETTLED), own_key="K1"),
        {"policy": RotationPolicy(rotate_self=True)},
    ),
    "last held": (
        observation_of(
            K1,
            key("K2", days=16, active=False),
            held="K2",
            journal=journal(**SETTLED),
            destinations={"ci:x": Held("K1")},
        ),
        {},
    ),
    "last was delivered": (
        observation_of(
            K1,
            K2,
            held="K2",
            journal=journal(
                **SETTLED, delivered={"ci:x": Delivery("K1", ago(days=40)), "ci:y": Delivery("K1", ago(days=40))}
            ),
            destinations={},
        ),
        {},
    ),
    "last was delivered, current off": (
        observation_of(
            K1,
            key("K2", days=16, active=False),
            held="K2",
            journal=journal(**SETTLED, delivered={"ci:x": Delivery("K1", ago(days=40))}),
            destinations={"ci:x": Held("K2")},
        ),
        {},
    ),
    "grace": (
        observation_of(K1, key("K2", days=1), held="K2", journal=journal(**FRESH)),
        {"overrides": Overrides(force=True)},
    ),
    "in use": (
        observation_of(K1, K2, held="K2", journal=journal(**SETTLED), last_used={"K1": ago(hours=2), "K2": None}),
        {},
    ),
    "outgoing held": (
        observation_of(
            K2,
            key("K0", days=40),
            held="K2",
            journal=journal(current="K2", committed=ago(days=16), removed={"K0": ago(days=1)}),
            destinations={"ci:x": Held("K0"), "ci:y": Held("K0")},
        ),
        {},
    ),
    "soak begins": (observation_of(K1, K2, held="K2", journal=journal(**SETTLED)), {"policy": SOAK}),
    "soak of two": (
        observation_of(
            K2, key("K8", days=3), key("K9", days=3), held="K2", journal=journal(current="K2", committed=ago(days=1))
        ),
        {"policy": SOAK, "overrides": Overrides(retire=frozenset({"K8", "K9"}))},
    ),
    "soaking": (
        observation_of(
            key("K1", days=31, active=False),
            K2,
            held="K2",
            journal=journal(**SETTLED, retiring={"K1": Retiring(ago(days=1))}),
        ),
        {"policy": SOAK},
    ),
    "without current, soak": (
        observation_of(K1, K2, journal=journal()),
        {"policy": SOAK, "overrides": Overrides(retire=frozenset({"K1"}))},
    ),
    "twokey's key is another user's": (observation_of(K1, K2, held="K2", journal=journal(**SETTLED), own_key="K7"), {}),
    "rotated just now": (
        observation_of(
            K2,
            key("K3", created=ago(seconds=9)),
            held="K3",
            journal=journal(current="K3", last="K2", committed=ago(seconds=5)),
        ),
        {},
    ),
    "unfinished, the first key": (
        observation_of(
            key("K3", created=ago(minutes=5)), held="K3", journal=journal(intent=Intent((), ago(minutes=5)))
        ),
        {},
    ),
    "outgoing held, no working CURRENT": (
        observation_of(
            key("K2", days=16, active=False),
            key("K0", days=40),
            held="K2",
            journal=journal(current="K2", committed=ago(days=16), removed={"K0": ago(days=1)}),
            destinations={"ci:x": Held("K0"), "ci:y": Held("K0")},
        ),
        {},
    ),
    "due, a destination is empty": (
        observation_of(
            K2, held="K2", journal=journal(current="K2", committed=ago(days=16)), destinations={"ci:x": NotHeld()}
        ),
        {},
    ),
    "due, delivered everywhere": (
        observation_of(
            K1,
            K2,
            held="K2",
            journal=journal(**SETTLED, delivered={"ci:x": Delivery("K2", ago(days=16))}),
            destinations={"ci:x": Held("K2")},
        ),
        {},
    ),
    "due, one destination is empty": (
        observation_of(
            K1,
            K2,
            held="K2",
            journal=journal(**SETTLED, delivered={"ci:x": Delivery("K2", ago(days=16))}),
            destinations={"ci:x": Held("K2"), "ci:y": NotHeld()},
        ),
        {},
    ),
    "rolled back, and CURRENT is gone": (
        observation_of(key("K1", days=1), held="K1", journal=journal(**SETTLED)),
        {"overrides": Overrides(retire=frozenset({"K2"}), all_theirs=True)},
    ),
    "rolled back, and an unmanaged key": (
        observation_of(K1, K2, key("K9", days=3), held="K1", journal=journal(**SETTLED), last_used={"K9": None}),
        {"overrides": Overrides(retire=frozenset({"K2"}))},
    ),
    "retired key in doubt": (
        observation_of(K1, K2, held="K2", destinations={"ci:x": CannotTell(""), "ci:y": CannotTell("")}),
        {"overrides": Overrides(retire=frozenset({"K1"}))},
    ),
    "due, two destinations cannot be read": (
        observation_of(
            K1,
            K2,
            held="K2",
            journal=journal(
                **SETTLED, delivered={"ci:x": Delivery("K2", ago(days=16)), "ci:y": Delivery("K2", ago(days=16))}
            ),
            destinations={
                "ci:x": CannotTell("Access denied.", failed=True),
                "ci:y": CannotTell("Not now.", failed=True),
            },
        ),
        {},
    ),
    "store empty, a destination cannot be read": (
        observation_of(K1, destinations={"ci:x": CannotTell("Access denied.", failed=True)}),
        {},
    ),
    "not due, a destination cannot be read": (
        observation_of(
            K1,
            K2,
            held="K2",
            journal=journal(**FRESH, delivered={"ci:x": Delivery("K2", ago(days=1))}),
            destinations={"ci:x": CannotTell("Access denied.", failed=True)},
        ),
        {},
    ),
    "retire, a destination cannot be read": (
        observation_of(
            K1,
            K2,
            held="K2",
            journal=journal(**FRESH, delivered={"ci:x": Delivery("K2", ago(days=1))}),
            destinations={"ci:x": CannotTell("Access denied.", failed=True)},
        ),
        {"overrides": Overrides(retire=frozenset({"K1"}))},
    ),
    "store empty, orphan, a destination cannot be read": (
        observation_of(
            K1,
            key("K3", created=ago(minutes=5)),
            journal=journal(intent=Intent(("K1",), ago(minutes=5)), delivered={"ci:x": Delivery("K1", ago(days=1))}),
            destinations={"ci:x": CannotTell("Access denied.", failed=True)},
        ),
        {},
    ),
    "retire, no LAST": (
        observation_of(K2, key("K9", days=3), held="K2", journal=journal(current="K2", committed=ago(days=1))),
        {"overrides": Overrides(retire=frozenset({"K9"}))},
    ),
    "soaking early": (
        observation_of(
            key("K1", days=29, active=False),
            key("K2", days=14),
            held="K2",
            journal=journal(current="K2", last="K1", committed=ago(days=13.5), retiring={"K1": Retiring(ago(days=1))}),
        ),
        {"policy": SOAK},
    ),
    "not due with soak, no LAST": (
        observation_of(K2, held="K2", journal=journal(current="K2", committed=ago(days=1))),
        {"policy": SOAK},
    ),
    "out of date, or unknown": (
        observation_of(
            K1,
            K2,
            held="K2",
            journal=journal(**FRESH, delivering=("ci:w",)),
            destinations={
                "ci:w": Held("K2"),
                "ci:x": CannotTell("Access denied.", failed=True),
                "ci:y": CannotTell("it does not show it"),
                "ci:z": NotHeld(),
            },
        ),
        {},
    ),
}

# name: the outcome and its reason, the sentence, the steps
SENTENCES: dict[str, tuple[str, str, list[str]]] = {
    "unreadable": (
        "refused (unreadable)",
        "secretsmanager:machine-users/ci cannot be read: no permission to read it",
        [],
    ),
    "own key": (
        "refused (own_key)",
        (
            "twokey itself runs with K1, a key of this user. Run it as another principal, or set rotate_self: "
            "true for this user in twokey.yaml."
        ),
        [],
    ),
    "user created again": (
        "refused (user_recreated)",
        (
            "The journal in secretsmanager:machine-users/ci belongs to user ID AIDAOLD, but ci is now AIDACI: "
            "the user was deleted and created again. Configure another store for this user, or remove the old "
            "credential and its journal from this one for good. Then run again."
        ),
        [],
    ),
    "list may lag": (
        "refused (unreadable)",
        "A key was created a moment ago, and IAM's list may not show it yet: nothing can be decided for 25s.",
        [],
    ),
    "retired key held": (
        "refused (retire_held)",
        (
            "K1 is held, or may be held, by ci:x, ci:y, so jobs may use it. Deliver CURRENT there first: twokey "
            "deliver ci."
        ),
        [],
    ),
    "retired key unknown": (
        "refused (retire_unknown)",
        "--retire names K8, K9, but ci has K1, K2. Check the ID, or leave --retire out.",
        [],
    ),
    "retired key of a user without keys": (
        "refused (retire_unknown)",
        "--retire names K9, but ci has no key. Check the ID, or leave --retire out.",
        [],
    ),
    "retired key is twokey's own": (
        "refused (own_key)",
        "twokey itself runs with K1. Run twokey with another key before you retire this one.",
        [],
    ),
    "unfinished": (
        "completed (interrupted)",
        "An interrupted run stored K3; this run delivers and commits it.",
        ["verify the stored key K3", "commit; LAST is K2"],
    ),
    "rolled back": (
        "refused (rolled_back)",
        (
            "secretsmanager:machine-users/ci holds K1, but its journal names K2 as CURRENT: the operator or "
            "another program wrote to the store. Put K2 back into the store. Only if no job uses K2 any more, "
            "remove it: twokey rotate ci --retire K2."
        ),
        [],
    ),
    "no key": (
        "rotated (no_key)",
        "The user has no access key, so none can be in use.",
        ["create a key, verify it, store it", "commit"],
    ),
    "store empty": (
        "rotated (store_empty)",
        "The store holds no key, and the user has fewer than two keys. K1 becomes LAST.",
        ["create a key, verify it, store it", "commit; LAST is K1"],
    ),
    "stored key gone": (
        "rotated (key_gone)",
        "The store holds K0, which IAM no longer lists, so jobs already fail. K1 becomes LAST.",
        ["create a key, verify it, store it", "commit; LAST is K1"],
    ),
    "stored key gone, no other": (
        "rotated (key_gone)",
        "The store holds K0, which IAM no longer lists, so jobs already fail.",
        ["create a key, verify it, store it", "commit; LAST is K0"],
    ),
    "two keys, store empty": (
        "refused (cannot_attribute)",
        (
            "secretsmanager:machine-users/ci holds no key, and the user has 2: K1 (Active, last used 3h ago for "
            "s3 in eu-central-1); K2 (Active, never used as far as IAM knows). twokey cannot determine which is "
            "in use. If you have the credential in use, put it into the store: twokey adopt ci --from URL reads it "
            "from another destination, twokey adopt ci --stdin from standard input. If you know which key no "
            "program uses, remove it, and twokey creates one in its place: twokey rotate ci --retire KEY_ID."
        ),
        [],
    ),
    "two keys, stored key gone": (
        "refused (cannot_attribute)",
        (
            "secretsmanager:machine-users/ci holds the deleted key K0, and the user has 2: K1 (Active, last used "
            "3h ago for s3 in eu-central-1); K2 (Active, never used as far as IAM knows). twokey cannot "
            "determine which is in use. If you have the credential in use, put it into the store: twokey adopt ci "
            "--from URL reads it from another destination, twokey adopt ci --stdin from standard input. If you "
            "know which key no program uses, remove it, and twokey creates one in its place: twokey rotate ci --retire "
            "KEY_ID."
        ),
        [],
    ),
    "one unmanaged key": (
        "refused (unmanaged_key)",
        (
            "The user has an unmanaged key: K9 (Inactive, last used 2d ago for s3 in eu-central-1). "
            "secretsmanager:machine-users/ci holds K2, and the journal does not name K9. Find out what uses K9. "
            "If no program uses K9, remove it: twokey rotate ci --retire K9."
        ),
        [],
    ),
    "two unmanaged keys": (
        "refused (unmanaged_key)",
        (
            "The user has unmanaged keys: K8 (Active, never used as far as IAM knows); K9 (Active, never used as "
            "far as IAM knows). secretsmanager:machine-users/ci holds K2, and the journal does not name K8 or "
            "K9. Find out what uses K8 or K9. If no program uses K8, remove it: twokey rotate ci --retire K8."
        ),
        [],
    ),
    "out of date": (
        "completed (out_of_date)",
        "ci:x, ci:y did not hold K2. Grace counts from this delivery.",
        ["verify the stored key K2", "deliver to ci:x, ci:y", "commit; LAST is K1"],
    ),
    "out of date by the journal": (
        "completed (out_of_date)",
        "According to the journal, ci:x did not hold K2. Grace counts from this delivery.",
        ["verify the stored key K2", "deliver to ci:x", "commit; LAST is K1"],
    ),
    "retire": (
        "retired (retire_requested)",
        "K8 is removed because you named it with --retire. K9 is removed because you named it with --retire.",
        ["delete K8", "delete K9", "commit; LAST is K1"],
    ),
    "still listed": (
        "retired (still_listed)",
        "K0 was deleted before and is still listed; it is deleted again.",
        ["delete K0", "commit; LAST is K1"],
    ),
    "not due": (
        "not_due (not_due)",
        "A rotation is due in 13d 9h.",
        [],
    ),
    "not due without a journal": (
        "not_due (not_due)",
        "A rotation is due in 13d 9h.",
        [],
    ),
    "due": (
        "rotated (due)",
        "CURRENT has reached the end of its period.",
        ["delete K1", "create a key, verify it, store it", "commit; LAST is K2"],
    ),
    "orphan": (
        "rotated (interrupted)",
        "An earlier run was interrupted; this run finishes its work. The orphan K3 of the interrupted run is removed.",
        ["remove the orphan K3", "create a key, verify it, store it", "commit; LAST is K2"],
    ),
    "due, with keys to remove": (
        "rotated (due)",
        (
            "CURRENT has reached the end of its period. K9 is removed because you named it with --retire. K0 was "
            "deleted before and is still listed; it is deleted again."
        ),
        ["delete K9", "delete K0", "delete K1", "create a key, verify it, store it", "commit; LAST is K2"],
    ),
    "accepted": (
        "rotated (due)",
        "CURRENT has reached the end of its period. With --ignore-last-use, jobs that still use K1 fail.",
        ["delete K1", "create a key, verify it, store it", "commit; LAST is K2"],
    ),
    "last is own": (
        "refused (own_key)",
        "twokey itself runs with K1, which is LAST. Run twokey with CURRENT.",
        [],
    ),
    "last held": (
        "refused (last_held)",
        (
            "LAST (K1) is held, or may be held, by ci:x. There is no working CURRENT to deliver there: put one "
            "into the store, or empty that destination."
        ),
        [],
    ),
    "last was delivered": (
        "refused (last_held)",
        (
            "According to the journal, ci:x, ci:y received LAST (K1) and nothing since (ci:x, ci:y is not among "
            "this run's destinations). Deliver CURRENT there, or accept that jobs that read it there fail: "
            "twokey rotate ci --ignore-last-use. If no job reads it there any more: twokey forget ci --destination "
            "ci:x."
        ),
        [],
    ),
    "last was delivered, current off": (
        "refused (last_held)",
        (
            "According to the journal, ci:x received LAST (K1) and nothing since. Deliver CURRENT there, or "
            "accept that jobs that read it there fail: twokey rotate ci --ignore-last-use."
        ),
        [],
    ),
    "grace": (
        "refused (grace)",
        (
            "Jobs in flight may still use LAST (K1): its grace ends in 13d 9h. Wait until then, or accept that "
            "they fail: twokey rotate ci --force --ignore-last-use."
        ),
        [],
    ),
    "in use": (
        "refused (in_use)",
        (
            "LAST is still in use: K1 (Active, last used 2h ago for s3 in eu-central-1), and it must be unused "
            "for 1d before it is removed. Find the job that does not read the store again (twokey trace K1 shows where "
            "it runs), or accept that it fails: twokey rotate ci --ignore-last-use."
        ),
        [],
    ),
    "outgoing held": (
        "completed (out_of_date)",
        "ci:x, ci:y did not hold K2. Grace counts from this delivery.",
        ["verify the stored key K2", "deliver to ci:x, ci:y", "commit"],
    ),
    "soak begins": (
        "retired (soak)",
        (
            "K1 is made Inactive for 2d before deletion. If a job fails now, reactivate the key: aws iam "
            "update-access-key --user-name ci --access-key-id K1 --status Active"
        ),
        ["make K1 Inactive for the soak"],
    ),
    "soak of two": (
        "retired (soak)",
        (
            "K8, K9 are made Inactive for 2d before deletion. If a job fails now, reactivate the key that it "
            "needs: aws iam update-access-key --user-name ci --access-key-id K8 --status Active"
        ),
        ["make K8 Inactive for the soak", "make K9 Inactive for the soak"],
    ),
    "soaking": (
        "not_due (soaking)",
        "K1 is Inactive; the soak ends in 1d.",
        [],
    ),
    "without current, soak": (
        "retired (soak)",
        (
            "K1 is made Inactive for 2d before deletion. If a job fails now, reactivate the key: aws iam "
            "update-access-key --user-name ci --access-key-id K1 --status Active"
        ),
        ["make K1 Inactive for the soak"],
    ),
    "twokey's key is another user's": (
        "rotated (due)",
        "CURRENT has reached the end of its period.",
        ["delete K1", "create a key, verify it, store it", "commit; LAST is K2"],
    ),
    "rotated just now": (
        "not_due (not_due)",
        "A rotation is due in 14d 9h.",
        [],
    ),
    "unfinished, the first key": (
        "completed (interrupted)",
        "An interrupted run stored K3; this run delivers and commits it.",
        ["verify the stored key K3", "commit"],
    ),
    "outgoing held, no working CURRENT": (
        "refused (last_held)",
        (
            "K0 is to be removed, but is held, or may be held, by ci:x, ci:y. There is no working CURRENT to "
            "deliver there: put one into the store, or empty that destination."
        ),
        [],
    ),
    "due, a destination is empty": (
        "rotated (due)",
        "CURRENT has reached the end of its period.",
        ["create a key, verify it, store it", "deliver to ci:x", "commit; LAST is K2"],
    ),
    "due, delivered everywhere": (
        "rotated (due)",
        "CURRENT has reached the end of its period.",
        ["delete K1", "create a key, verify it, store it", "deliver to ci:x", "commit; LAST is K2"],
    ),
    "due, one destination is empty": (
        "rotated (due)",
        "CURRENT has reached the end of its period.",
        ["delete K1", "create a key, verify it, store it", "deliver to ci:x, ci:y", "commit; LAST is K2"],
    ),
    "rolled back, and CURRENT is gone": (
        "retired (retire_requested)",
        (
            "K2 no longer exists, and secretsmanager:machine-users/ci holds K1: the journal now names that one "
            "as CURRENT."
        ),
        ["commit"],
    ),
    "rolled back, and an unmanaged key": (
        "refused (unmanaged_key)",
        (
            "The user has an unmanaged key: K9 (Active, never used as far as IAM knows). "
            "secretsmanager:machine-users/ci holds K1, and the journal does not name K9. Find out what uses K9. "
            "If no program uses K9, remove it: twokey rotate ci --retire K2 --retire K9."
        ),
        [],
    ),
    "retired key in doubt": (
        "refused (retire_held)",
        (
            "K1 is held, or may be held, by ci:x, ci:y, so jobs may use it. Which key ci:x, ci:y holds is "
            "unknown: leave it out of this run if it holds another one."
        ),
        [],
    ),
    "due, two destinations cannot be read": (
        "refused (unreadable)",
        "ci:x cannot be read: Access denied. ci:y cannot be read: Not now. The key to be removed may be held there.",
        [],
    ),
    "store empty, a destination cannot be read": (
        "rotated (store_empty)",
        "The store holds no key, and the user has fewer than two keys. K1 becomes LAST.",
        ["create a key, verify it, store it", "deliver to ci:x", "commit; LAST is K1"],
    ),
    "not due, a destination cannot be read": (
        "not_due (not_due)",
        "A rotation is due in 13d 9h.",
        [],
    ),
    "retire, a destination cannot be read": (
        "refused (unreadable)",
        "ci:x cannot be read: Access denied. The key to be removed may be held there.",
        [],
    ),
    "store empty, orphan, a destination cannot be read": (
        "refused (unreadable)",
        "ci:x cannot be read: Access denied. The key to be removed may be held there.",
        [],
    ),
    "retire, no LAST": (
        "retired (retire_requested)",
        "K9 is removed because you named it with --retire.",
        ["delete K9", "commit"],
    ),
    "soaking early": (
        "not_due (not_due)",
        "A rotation is due in 21h.",
        [],
    ),
    "not due with soak, no LAST": (
        "not_due (not_due)",
        "A rotation is due in 13d 9h.",
        [],
    ),
    "out of date, or unknown": (
        "completed (out_of_date)",
        (
            "A delivery of K2 to ci:w was not finished. ci:x cannot be read, so it is unknown whether K2 was there. It "
            "is unknown whether ci:y held K2. ci:z did not hold K2. Grace counts from this delivery."
        ),
        ["verify the stored key K2", "deliver to ci:w, ci:x, ci:y, ci:z", "commit; LAST is K1"],
    ),
}


@pytest.mark.parametrize("state", STATES)
def test_says_what_is_decided_and_why(state: str) -> None:
    observation, wishes = STATES[state]
    found = plan(observation, wishes.get("policy", RotationPolicy()), NOW, wishes.get("overrides"))
    decided, sentence, steps = SENTENCES[state]
    assert f"{found.outcome} ({found.reason})" == decided
    assert found.message == sentence
    assert [str(action) for action in found.actions] == steps


def test_every_state_has_its_sentence() -> None:
    assert list(STATES) == list(SENTENCES)
