"""Break one rule of the protocol at a time in a copy of the code, and see that the tests notice.

A test that cannot fail proves nothing. Each entry of ``RULES`` is an edit that leaves out one safety rule, and the
tests that guard it. The copy must pass those tests before the edit and fail one of them after it. An edit whose text
is no longer found is an error: the rule has moved, and this list has to be updated.

    python scripts/break_rules.py            all of them
    python scripts/break_rules.py verify     those whose name contains a word
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent.parent
COPIED = ("src", "tests", "docs", "deploy", "pyproject.toml")
PLAN = ("tests/planning/test_decision.py",)
ENGINE = (
    "tests/rotation/test_leased_journal.py",
    "tests/rotation/test_rotate.py",
    "tests/rotation/test_rotate_in_doubt.py",
)
MADE_UP = ("tests/rotation/test_made_up_journals.py", "tests/planning/test_belief.py")
LOCKS = (
    "tests/destinations/locks/test_locked_store.py",
    "tests/destinations/locks/test_locks.py::TestALock::test_is_taken_by_one_of_two_runs_that_read_the_same",
)
SSM = "tests/destinations/stores/test_ssm.py"
CLAIMS = ("tests/rotation/test_claims.py",)
MOVES = ("tests/simulation/test_moving.py",)
DELIVERIES = ("tests/rotation/test_delivery.py",)
HOOKS = ("tests/rotation/test_hooks.py",)
REVOKE = "tests/cli/test_revoke_command.py"
REVOKE_ALL = "tests/revocation/test_all.py"
CONTAINED = ("tests/revocation/test_contain.py",)
LEAKS = ("tests/revocation/test_decision.py",)
REVOCATIONS = ("tests/simulation/test_revoking.py",)
SIMULATION = ("tests/simulation/test_simulation.py",)
SESSIONS = ("tests/revocation/test_sessions.py",)
ALERTS = ("tests/revocation/test_github_alerts.py",)
WATCHED = ("tests/cli/test_watch_command.py",)
FLEET = ("tests/fleet/test_accounts.py", "tests/fleet/test_waves.py")
FUNCTIONS = ("tests/serverless/test_functions.py",)
PLANNED = ("tests/planning/test_binding.py", "tests/reports/test_plan_file.py", "tests/cli/test_plan_files.py")


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule, and how to leave it out: in ``file``, ``text`` becomes ``broken``; ``guards`` are the tests to fail."""

    name: str
    file: str
    text: str
    broken: str
    guards: tuple[str, ...]


RULES = (
    Rule(
        "escrow: a key that a destination holds is never removed",
        "planning/assessment.py",
        'if self.holds(name) in ("?", key_id)',
        "if False",
        (*PLAN, *SIMULATION),
    ),
    Rule(
        "grace: LAST stays until it is over",
        "planning/removal.py",
        "if assessment.now >= assessment.grace_over:",
        "if True:",
        PLAN,
    ),
    Rule(
        "grace: one that was promised is kept although it is shortened",
        "planning/assessment.py",
        "return max(self.policy.grace, promised or timedelta(0))",
        "return self.policy.grace",
        (*PLAN, *SIMULATION),
    ),
    Rule(
        "grace: the commit records what the readers of both keys are promised",
        "core/journal.py",
        "key_id: max(grace, journal.graces.get(key_id, timedelta(0)))",
        "key_id: grace",
        ENGINE,
    ),
    Rule(
        "grace: a takeover records what the readers of both keys are promised",
        "adoption/takeover.py",
        "                graces=self._promised(leased.journal, decision),\n",
        "",
        ("tests/adoption/test_takeover.py",),
    ),
    Rule(
        "grace counts from the commit, not from the creation",
        "planning/assessment.py",
        "if self.journal.current == self.held and self.journal.committed:",
        "if False:",
        (*PLAN, *SIMULATION),
    ),
    Rule(
        "identity: the same URL elsewhere is another destination",
        "core/identities.py",
        "if not identity or _digest(identity) == _digest(mine):",
        "if True:",
        ("tests/rotation/test_elsewhere.py", *SIMULATION),
    ),
    Rule(
        "identity: a delivery is recorded with what the URL meant",
        "rotation/delivery.py",
        '                self._identities.get(destination.name, ""),\n',
        '                "",\n',
        ("tests/rotation/test_elsewhere.py",),
    ),
    Rule(
        "contested: no rotation removes a key while another program keeps writing where LAST may be",
        "planning/between_rotations.py",
        "if contested and reason in (Reason.DUE, Reason.FORCED):",
        "if False:",
        ("tests/rotation/test_contested.py",),
    ),
    Rule(
        "contested: another program that writes again is remembered across rotations",
        "rotation/delivery.py",
        "            return REMEMBERED\n",
        "            return 0\n",
        ("tests/rotation/test_contested.py",),
    ),
    Rule(
        "contested: what another program writes restarts grace if it may be LAST",
        "rotation/delivery.py",
        "        if holds_none(self._observation, name):\n",
        "        if True:\n",
        ("tests/rotation/test_contested.py", *DELIVERIES),
    ),
    Rule(
        "forget: LAST keeps its grace from the moment at which a destination that had it is forgotten",
        "planning/assessment.py",
        "for moment in (self.committed, self.journal.forgotten) if moment",
        "for moment in (self.committed,) if moment",
        ("tests/rotation/test_forget.py", *SIMULATION),
    ),
    Rule(
        "forget: what may hold a key is forgotten only if the operator confirms it",
        "planning/forgetting.py",
        "if not confirmed and not assessment.holds_none(name):",
        "if False:",
        ("tests/planning/test_forgetting.py",),
    ),
    Rule(
        "forget: jobs may have read LAST where a delivery is open or LAST was received",
        "planning/forgetting.py",
        "return not surely or holding == Held(assessment.last.id)",
        "return False",
        ("tests/planning/test_forgetting.py", "tests/rotation/test_forget.py"),
    ),
    Rule(
        "verify: a key is proved before it is published",
        "rotation/verify.py",
        "    deadline = clock.monotonic() + rules.timeout.total_seconds()\n",
        "    return\n    deadline = clock.monotonic() + rules.timeout.total_seconds()\n",
        (*ENGINE, *SIMULATION),
    ),
    Rule(
        "preflight: it is asked before the lease creates a store",
        "rotation/rotate.py",
        "    if observation.record.journal.epoch:\n",
        "    if observation:\n",
        CLAIMS,
    ),
    Rule(
        "preflight: a store that was just created can be changed, too, before a key is removed",
        "rotation/apply.py",
        "                self._leased.write()\n",
        "                pass\n",
        CLAIMS,
    ),
    Rule(
        "preflight: the session of the run outlasts what cannot be interrupted",
        "rotation/preflight.py",
        "                sts.credentials_left(),\n",
        "                float('inf'),\n",
        ("tests/rotation/test_lifetime.py",),
    ),
    Rule(
        "preflight: a token that is not replaced outlasts what cannot be interrupted",
        "http/renewable_token.py",
        "                if token == before:\n",
        "                if not token:\n",
        ("tests/rotation/test_lifetime.py",),
    ),
    Rule(
        "move: no run rotates from the former store",
        "rotation/look.py",
        "    if journal.moved:\n",
        "    if False:\n",
        MOVES,
    ),
    Rule(
        "move: no run rotates from the store that a move is not finished to",
        "rotation/look.py",
        "    if journal.arriving:\n",
        "    if False:\n",
        MOVES,
    ),
    Rule(
        "move: what the target receives is in the source's journal before",
        "moving/move.py",
        "source.write(delivered=self._recorded(look, source.journal))",
        "source.guard()",
        MOVES,
    ),
    Rule(
        "move: a key that an interrupted move wrote to the target stays recorded",
        "moving/move.py",
        "if before is not None and before.key != look.current",
        "if False",
        MOVES,
    ),
    Rule(
        "move: a paused rotation cannot write to the source any more",
        "moving/move.py",
        "if source.journal.intent is not None:",
        "if False:",
        MOVES,
    ),
    Rule(
        "move: what the target's URL meant elsewhere stays in the journal",
        "moving/move.py",
        "journal=recognized(record.journal, self.world.identities)",
        "journal=record.journal",
        ("tests/cli/test_move_store_command.py::test_a_move_knows_that_one_url_is_two_destinations_in_two_regions",),
    ),
    Rule(
        "move: the target says from the first write on that a move is under way",
        "moving/move.py",
        "self._lease(self.target, look.target, arriving=self.source.name)",
        "self._lease(self.target, look.target)",
        MOVES,
    ),
    Rule(
        "move: the source says where the user is before the target rotates",
        "moving/move.py",
        "source.release(moved=self.target.name)",
        "source.release()",
        MOVES,
    ),
    Rule(
        "move: the new store records that the former one holds CURRENT",
        "moving/move.py",
        "        if not self.unread:\n",
        "        if False:\n",
        MOVES,
    ),
    Rule(
        "move: the journal moves as a whole",
        "moving/move.py",
        'if name not in ("epoch", "lease", "arriving")}',
        'if name not in ("epoch", "lease", "arriving", "graces")}',
        MOVES,
    ),
    Rule(
        "claims: what was written before an error is part of its message",
        "rotation/claims.py",
        'if effects.begun or effects.lease != "none":',
        "if False:",
        CLAIMS,
    ),
    Rule(
        "intent: the known ids are recorded before a key is created",
        "rotation/creation.py",
        "self._leased.write(intent=intent, last=last, removed=self._removals.recorded)",
        "pass",
        (*ENGINE, *SIMULATION),
    ),
    Rule(
        "attribution: a key that nothing holds is not an orphan for that reason alone",
        "planning/assessment.py",
        "        and any(at - 2 * timestamps.RESOLUTION <= key.created <= at + CREATION_WINDOW for at in attempts)\n",
        "",
        PLAN,
    ),
    Rule(
        "open attempts: a refused creation leaves the intent as it was",
        "rotation/creation.py",
        "                self._leased.write(intent=self._before)\n",
        "                if self._before is None:\n                    self._leased.write(intent=None)\n",
        (*ENGINE, *SIMULATION),
    ),
    Rule(
        "open attempts: none is forgotten while the list may lack its key",
        "planning/assessment.py",
        "return tuple(at for at in attempts if now < at + SURELY_COMPLETE)",
        "return attempts[:4]",
        (*PLAN, *ENGINE),
    ),
    Rule(
        "attribution: a key that jobs use is no orphan",
        "planning/assessment.py",
        "if len(created) != 1 or _used_by_others(created[0], observation.last_used.get(created[0].id), policy):",
        "if len(created) != 1:",
        (*PLAN, *SIMULATION),
    ),
    Rule(
        "attribution: no orphan is removed while a destination may hold it",
        "planning/assessment.py",
        "orphan = None if claimed and _may_be_published(observation) else claimed",
        "orphan = claimed",
        (*PLAN, *SIMULATION),
    ),
    Rule(
        "attribution: what becomes LAST is recorded before it is overwritten anywhere",
        "rotation/delivery.py",
        'role = {"last": instead_of} if instead_of and self._leased.journal.last != instead_of else {}',
        "role: dict[str, str] = {}",
        (*ENGINE, *SIMULATION),
    ),
    Rule(
        "waiting: a list is not relied on while an intent is young",
        "planning/decision.py",
        "moments = [_created_by(assessment, assessment.journal.intent)] if assessment.journal.intent else []",
        "moments = []",
        (*PLAN, *ENGINE),
    ),
    Rule(
        "waiting: it counts from the latest moment at which the key can have been created",
        "planning/decision.py",
        "return intent.at + (longest if settle >= UNDER_WAY else min(longest, settle))",
        "return intent.at",
        (*PLAN, *ENGINE, *SIMULATION),
    ),
    Rule(
        "a creation that leaves late renews its intent first",
        "rotation/creation.py",
        "if self._world.clock.monotonic() - began <= intent.within and",
        "if",
        (*ENGINE, *SIMULATION),
    ),
    Rule(
        "the fence on the journal: a run that lost the lease writes nothing more",
        "rotation/leased_journal.py",
        "self.revision = self._store.save_journal(journal, self.revision)",
        "self.revision = self._store.save_journal(journal, self._store.load().revision)",
        ENGINE,
    ),
    Rule(
        "the fence on the store: before an orphan is removed, a prepared write is made to fail",
        "rotation/apply.py",
        "            self._leased.fence()\n",
        "",
        (*ENGINE, *SIMULATION),
    ),
    Rule(
        "the fence on the store: before an orphan becomes LAST, a prepared write is made to fail",
        "rotation/delivery.py",
        "            self._leased.fence()\n",
        "            pass\n",
        ENGINE,
    ),
    Rule(
        "no key is deleted after a store write in doubt",
        "rotation/creation.py",
        "        except Ambiguous:\n            raise\n        except ServiceError:\n            if self.",
        "        except ServiceError:\n            if True or self.",
        (*ENGINE, *SIMULATION),
    ),
    Rule(
        "age decides nothing: the oldest key may be the one in use",
        "planning/assessment.py",
        "    last = _last(others, current, journal, held) or (None if orphan else claimed)\n",
        "    last = min(listed, key=lambda key: key.created, default=None)\n",
        (*PLAN, *SIMULATION),
    ),
    Rule(
        "the SDK repeats nothing: a repeated creation creates two keys",
        "aws/clients.py",
        '"total_max_attempts": 1 if once else ATTEMPTS',
        '"total_max_attempts": ATTEMPTS',
        (*ENGINE, "tests/aws/test_key_calls.py"),
    ),
    Rule(
        "the store is written on condition that no other run wrote",
        "rotation/leased_journal.py",
        "self.revision = self._store.put(credential, self.revision)",
        "self.revision = self._store.put(credential, self._store.load().revision)",
        (*ENGINE, *SIMULATION),
    ),
    Rule(
        "every page of a list is read",
        "http/paging.py",
        'return (found,), found[member] if found["IsTruncated"] else None',
        "return (found,), None",
        ("tests/http/test_paging.py", "tests/rotation/test_rotate.py", "tests/aws/test_key_calls.py"),
    ),
    Rule(
        "grace counts from the commit, not from the start of the run",
        "rotation/apply.py",
        "            timestamps.not_before_now(self._world.clock)\n            if renew\n",
        "            (journal.intent.at if journal.intent else self._world.clock.now())\n            if renew\n",
        (*ENGINE, *SIMULATION),
    ),
    Rule(
        "open deliveries: what may be torn is recorded before the first of two writes",
        "rotation/delivery.py",
        "            self._open |= dict.fromkeys(opened)\n",
        "",
        (*DELIVERIES, *SIMULATION),
    ),
    Rule(
        "open deliveries: a new destination is recorded before the first request to it",
        "rotation/delivery.py",
        'self._identities.get(name, "")) for name in new\n',
        'self._identities.get(name, "")) for name in new if instead_of\n',
        (*DELIVERIES, *ENGINE, *SIMULATION),
    ),
    Rule(
        "open deliveries: the next run delivers there again, whatever the destination shows",
        "planning/assessment.py",
        "return is_open or self.holds(name)",
        "return self.holds(name)",
        (*PLAN, *DELIVERIES, *SIMULATION),
    ),
    Rule(
        "stamps: where another program has written, what is held is unknown",
        "planning/assessment.py",
        " or written_since(delivery, holding)",
        "",
        (*PLAN, *SIMULATION),
    ),
    Rule(
        "leases: one that ends later than any run can have taken it for is not believed",
        "rotation/lease.py",
        "not now < lease.until <= now + LENGTH + MOST_SKEW:",
        "now >= lease.until:",
        (*ENGINE, *SIMULATION),
    ),
    Rule(
        "a lease that is lost while a destination waits ends the run",
        "rotation/delivery.py",
        "            self._keep_lease()\n        except TwokeyError as error:\n            self._fatal = error\n",
        "            self._keep_lease()\n        except TwokeyError:\n",
        DELIVERIES,
    ),
    Rule(
        "a lease that is over before the second value of a pair ends the run",
        "rotation/delivery.py",
        "            self._leased.check()\n        except TwokeyError as error:\n            self._fatal = error\n",
        "            self._leased.check()\n        except TwokeyError:\n",
        DELIVERIES,
    ),
    Rule(
        "leases: one is looked at right before each request that writes to the store",
        "rotation/leased_journal.py",
        "waiting.during(lambda _left: None, lambda: _check_left(left())), ",
        "waiting.during(lambda _left: None, lambda: None), ",
        ("tests/rotation/test_rotate_in_doubt.py",),
    ),
    Rule(
        "SSM: a version in between that cannot be read yet leaves the write in doubt",
        "destinations/stores/ssm.py",
        'raise NotFound(f"its version {number} cannot be read yet.")',
        'return self._get(name) or {"Value": ""}',
        (f"{SSM}::test_a_version_between_that_cannot_be_read_yet_is_not_one_that_was_never_written",),
    ),
    Rule(
        "SSM: a label that ends all writes is found before LAST is removed",
        "destinations/stores/ssm.py",
        "        history.refuse_without_room(ROOM)\n",
        "",
        (f"{SSM}::TestALabelOnAnOldVersion", *ENGINE),
    ),
    Rule(
        "locks: the lock is read right before each request to the store",
        "destinations/locks/locked_store.py",
        "waiting.also_before_effect(still_ours):",
        "waiting.also_before_effect(lambda: None):",
        LOCKS,
    ),
    Rule(
        "locks: one is taken only from what was read (DynamoDB)",
        "destinations/locks/dynamodb.py",
        '"ConditionExpression": "fence = :seen"',
        '"ConditionExpression": "fence = :seen OR fence <> :seen"',
        LOCKS,
    ),
    Rule(
        "locks: one is taken only from what was read (S3)",
        "destinations/locks/s3.py",
        '{"IfMatch": seen.tag} if seen else {"IfNoneMatch": "*"}',
        '{} if seen else {"IfNoneMatch": "*"}',
        LOCKS,
    ),
    Rule(
        "locks: the lease in the lock counts where the journal is older",
        "destinations/locks/locked_store.py",
        "if content is not None and content.epoch > journal.epoch:",
        "if False:",
        LOCKS,
    ),
    Rule(
        "stamps: a secret that may not be read shows by its version who wrote last",
        "destinations/stores/secretsmanager.py",
        'return CannotTell(error.message, stamp=current or "")',
        "return CannotTell(error.message)",
        ("tests/rotation/test_secrets_that_may_not_be_read.py",),
    ),
    Rule(
        "made-up journals: a key that jobs use is not removed because the journal says that it was",
        "planning/assessment.py",
        " and not _in_use(key, observation, policy, now)",
        "",
        MADE_UP,
    ),
    Rule(
        "made-up journals: a moment that is yet to come is not believed",
        "planning/belief.py",
        "return EARLIEST <= at <= now + MOST_SKEW",
        "return True",
        MADE_UP,
    ),
    Rule(
        "drop-in: the users that twokey manages are refused",
        "drop_in/__init__.py",
        "if not refusals[user]",
        "if True",
        ("tests/drop_in/test_managed.py",),
    ),
    Rule(
        "doubt: a response that is lost behind a proxy proves nothing",
        "aws/network.py",
        'if proof == "unclear":',
        "if False:",
        ("tests/aws/test_connections.py",),
    ),
    Rule(
        "doubt: an error while the own credentials are renewed is not that of the change",
        "aws/clients.py",
        'session.register_component("credential_provider", ProviderChain(session))',
        'session.get_component("credential_provider")',
        ("tests/aws/test_own_settings.py::TestCredentialsThatEndWithinARun",),
    ),
    Rule(
        "jobs: a key expires before its grace can end",
        "jobs/credentials.py",
        "start + min(HOUR, grace)",
        "start + HOUR",
        ("tests/jobs/test_credentials.py::TestWithoutARole",),
    ),
    Rule(
        "jobs: an access key is read from the store at each refresh",
        "jobs/refreshing.py",
        "        if not isinstance(held.credential, SessionCredential):\n            return False\n",
        "",
        ("tests/jobs/test_endpoint.py::TestRefreshing",),
    ),
    Rule(
        "hooks: before runs ahead of any change, and its failure prevents the rotation",
        "rotation/rotate.py",
        "        around.before(observation, decision, leased)\n        for action in decision.actions:\n"
        "            apply.perform(action)\n",
        "        for action in decision.actions:\n            apply.perform(action)\n"
        "        around.before(observation, decision, leased)\n",
        HOOKS,
    ),
    Rule(
        "hooks: the commit notes that after is due",
        "rotation/leased_journal.py",
        'self.write(**{"hook": changes.get("current") or self.journal.current, **changes})',
        "self.write(**changes)",
        HOOKS,
    ),
    Rule(
        "hooks: only the success of after removes the note",
        "rotation/hooks.py",
        "        except HookFailed as error:\n            leased.release()\n",
        '        except HookFailed as error:\n            leased.release(hook="")\n',
        HOOKS,
    ),
    Rule(
        "jobs: the endpoint answers only with its token",
        "jobs/endpoint.py",
        "hmac.compare_digest(shown, self.server.token.encode())",
        "True",
        ("tests/jobs/test_endpoint.py::TestWhoIsAnswered",),
    ),
    Rule(
        "jobs: no profile wins over the endpoint",
        "jobs/profile.py",
        "if name in SETTINGS",
        "if True",
        ("tests/jobs/test_exec.py::TestTheEnvironment",),
    ),
    Rule(
        "sessions: a cut-off never moves back",
        "revocation/sessions.py",
        "later = next((one for one in present if one.cutoff >= deny.cutoff), None)",
        "later = None",
        SESSIONS,
    ),
    Rule(
        "sessions: the second of the cut-off counts",
        "revocation/token_policies.py",
        "    at = next_second(cutoff)\n",
        "    at = cutoff.replace(microsecond=0)\n",
        SESSIONS,
    ),
    Rule(
        "sessions: ended again after the rotation",
        "fleet/ending.py",
        "            if cutoff > self._cutoff:\n",
        "            if False:\n",
        (*SESSIONS, "tests/cli/test_revoke_sessions.py"),
    ),
    Rule(
        "sessions: that of the run itself is not ended",
        "revocation/sessions.py",
        "if _runs_as(own_arn, principal):",
        "if False:",
        SESSIONS,
    ),
    Rule(
        "lift: not while a session that is denied may exist",
        "revocation/lift.py",
        "if now < one.until:",
        "if False:",
        SESSIONS,
    ),
    Rule(
        "lift: only policies of twokey",
        "revocation/token_policies.py",
        "if moment.tzinfo is None or dict(found) != _document(text):",
        "if moment.tzinfo is None:",
        SESSIONS,
    ),
    Rule(
        "revocation: the leaked key is Inactive before its store is even looked for",
        "fleet/first.py",
        "                first.owners[key_id] = owner\n",
        "                first.iam.keys(owner)\n                first.owners[key_id] = owner\n",
        (f"{REVOKE}::test_a_leaked_key_is_inactive_after_two_requests_and_then_replaced_everywhere",),
    ),
    Rule(
        "revocation: at a terminal, nothing is changed before the operator agrees",
        "cli/revoke_run.py",
        "        if self.confirm and leaks.keys:",
        "        if False:",
        ("tests/cli/test_revoke_asks.py",),
    ),
    Rule(
        "revocation: no mistake in the configuration keeps a leaked key Active",
        "cli/revoke.py",
        "        if yes and not only_plan and _only_key_ids(request):",
        "        if False:",
        ("tests/revocation/test_first.py",),
    ),
    Rule(
        "revocation: twokey's own key is not stopped before anything is looked up",
        "fleet/first.py",
        "        if key_id == own:",
        "        if False:",
        (f"{REVOKE}::test_twokey_s_own_key_is_refused_and_nothing_is_changed",),
    ),
    Rule(
        "revocation: a leaked key of twokey's own account is not taken for one of a user of that name elsewhere",
        "cli/revoke_run.py",
        "        if self.first and self.first.owners:",
        "        if False:",
        ("tests/fleet/test_accounts.py::TestRevoke",),
    ),
    Rule(
        "revocation of all: nothing but the leaked keys is requested of IAM until they are Inactive",
        "fleet/revoking_all.py",
        "    unknown = [name for name in users if request.both or not _holds(found.get(name))]",
        "    unknown = [*users]",
        (f"{REVOKE_ALL}::test_all_leaked_keys_are_inactive_first_with_hardly_a_request_to_iam_besides",),
    ),
    Rule(
        "revocation of all: the key that replaced a leaked one has not leaked",
        "fleet/revoking_all.py",
        "        return bool(self.revoked) and self.held not in self.revoked",
        "        return False",
        (f"{REVOKE_ALL}::test_run_again_it_leaves_the_keys_that_it_created",),
    ),
    Rule(
        "revocation of all: that a key had leaked is remembered after it was deleted",
        "rotation/apply.py",
        "return self._remains(key_id) or self._world.clock.now() - mark.at < timedelta(days=1)",
        "return self._remains(key_id)",
        (f"{REVOKE_ALL}::test_run_again_it_leaves_the_keys_that_it_created",),
    ),
    Rule(
        "revocation of all: of two keys, the store or the operator says which has leaked",
        "fleet/revoking_all.py",
        "        if len(keys) > 1:",
        "        if False:",
        (f"{REVOKE_ALL}::test_without_a_configuration_the_keys_below_a_path_are_contained",),
    ),
    Rule(
        "revocation of all: twokey's own key is not stopped",
        "fleet/revoking_all.py",
        "    if own in keys:",
        "    if False:",
        (f"{REVOKE_ALL}::test_twokey_s_own_key_is_left_out",),
    ),
    Rule(
        "revocation: a request without a response is sent again until the key is known to be Inactive",
        "revocation/contain.py",
        "        except (Ambiguous, Throttled, Unreachable):\n            if clock.monotonic() > deadline:",
        "        except (Ambiguous, Throttled, Unreachable):\n            if True:",
        CONTAINED,
    ),
    Rule(
        "revocation: no code makes a key Active",
        "aws/iam.py",
        '"Status": "Inactive"}',
        '"Status": "Active"}',
        CONTAINED,
    ),
    Rule(
        "revocation: twokey's own key is not stopped",
        "fleet/revoking.py",
        "    if own in found:",
        "    if False:",
        (f"{REVOKE}::test_twokey_s_own_key_is_refused_and_nothing_is_changed",),
    ),
    Rule(
        "revocation: a user's name does not stand for the key that replaced a leaked one",
        "fleet/revoking.py",
        "    if before:",
        "    if False:",
        (f"{REVOKE}::test_the_same_user_again_is_refused_with_the_two_commands_that_may_be_meant",),
    ),
    Rule(
        "revocation: the journal names the leaked key before anything else is done",
        "revocation/decision.py",
        "    return replace(decision, actions=(*new, *decision.actions))",
        "    return decision",
        LEAKS,
    ),
    Rule(
        "revocation: CURRENT that has not leaked stays, whether or not a rotation is due",
        "revocation/decision.py",
        "_without_rotation(assessment) if _current_works(assessment) else plan(seen, policy, now, overrides)",
        "plan(seen, policy, now, overrides)",
        LEAKS,
    ),
    Rule(
        "revocation: a leaked key is not delivered, even if it was made Active again",
        "planning/assessment.py",
        "replace(key, active=False) if key.id == held and key.id in journal.revoked else key",
        "key",
        LEAKS,
    ),
    Rule(
        "revocation: LAST, which has not leaked, is removed only by its own rules",
        "planning/revoked.py",
        "        return bar if bar.needs else None\n    if last is None",
        "        pass\n    if last is None",
        (*LEAKS, *REVOCATIONS),
    ),
    Rule(
        "revocation: the leaked key makes room only if the operator allows it",
        "planning/revoked.py",
        "    if kept_until_over(assessment.held, assessment.journal, assessment.now) and len(others) < 2:",
        "    if len(others) < 2:",
        LEAKS,
    ),
    Rule(
        "revocation: the record of a leaked key is believed only while IAM lists it Inactive",
        "planning/assessment.py",
        "        or (not key.active and kept_until_over(key.id, journal, now))",
        "        or kept_until_over(key.id, journal, now)",
        LEAKS,
    ),
    Rule(
        "revocation: a leaked key that is kept is not removed as LAST",
        "planning/revoked.py",
        "    if last.id not in assessment.revoked:",
        "    if True:",
        LEAKS,
    ),
    Rule(
        "revocation: the deletion of the leaked key makes no other key LAST",
        "planning/assessment.py",
        "    if current is None and held in journal.revoked:",
        "    if False:",
        LEAKS,
    ),
    Rule(
        "revocation: the key of a creation without a response is recorded as LAST with the next intent",
        "planning/revoked.py",
        '    return last.id if last and assessment.held in assessment.journal.revoked else ""',
        '    return ""',
        (f"{REVOCATIONS[0]}::test_a_key_without_a_known_secret_is_attributed_after_the_leaked_key_is_gone",),
    ),
    Rule(
        "revocation: a destination that cannot be written keeps no other from the new key",
        "rotation/apply.py",
        "            if not any(isinstance(action, Create) and action.urgent for action in actions):",
        "            if True:",
        (f"{REVOKE}::test_a_destination_that_fails_keeps_no_other_from_the_new_key_and_the_outage_is_named",),
    ),
    Rule(
        "watch: an alert of GitHub's partner program counts only with its signature",
        "revocation/github_alerts.py",
        '    raise _refused(request, "its signature does not fit its body")',
        "    return",
        ALERTS,
    ),
    Rule(
        "watch: an alert of a webhook counts only with its signature",
        "revocation/github_alerts.py",
        '    raise _refused(request, "its signature does not fit its body and the secret of the webhook")',
        "    return",
        ALERTS,
    ),
    Rule(
        "watch: a key of another account is never looked up as one of ours",
        "revocation/owners.py",
        "if encoded not in (None, self._account):",
        "if False:",
        WATCHED,
    ),
    Rule(
        "watch: a key whose owner is unknown is not passed over",
        "revocation/watch.py",
        'elif owner.where == "unknown":',
        "elif False:",
        WATCHED,
    ),
    Rule(
        "watch: an id without a secret is no leak",
        "revocation/watch.py",
        'rule = "TK801" if secret else "TK802"',
        'rule = "TK801"',
        WATCHED,
    ),
    Rule(
        "watch: what was revoked is not revoked again",
        "revocation/watch.py",
        'leaked=rule in LEAKED and status == "Active",',
        "leaked=rule in LEAKED,",
        WATCHED,
    ),
    Rule(
        "watch: a quarantine names no key, so it revokes none",
        "revocation/watch.py",
        'LEAKED = frozenset({"TK801", "TK821", "TK831"})',
        'LEAKED = frozenset({"TK801", "TK811", "TK821", "TK831"})',
        WATCHED,
    ),
    Rule(
        "watch: an id near the secret of another is not revoked",
        "revocation/watch.py",
        'severity="high", leaked=False)',
        'severity="high")',
        WATCHED,
    ),
    Rule(
        "watch: only keys of the configuration are revoked",
        "fleet/watching.py",
        " and _is_configured(settings, one)]",
        "]",
        WATCHED,
    ),
    Rule(
        "accounts: users of two accounts do not share a store",
        "config/account_rules.py",
        "if template is not None and not names_account(template) and selection.is_shared(key, template):",
        "if False:",
        FLEET,
    ),
    Rule(
        "accounts: users of two entries do not share a store, whatever a run selects",
        "config/shared_stores.py",
        "    if first.account != second.account or not same:\n",
        "    if False:\n",
        ("tests/config/test_shared_stores.py",),
    ),
    Rule(
        "accounts: a user's store is in the account of the user",
        "fleet/runtime.py",
        "        return Where(self.accounts.of(job.user.account).services, job.user.account)",
        "        return Where(self.services, self.accounts.home)",
        FLEET,
    ),
    Rule(
        "accounts: each request is signed for its account",
        "aws/member.py",
        "return found if keyless else _Signed(found, self._credentials)",
        "return found",
        FLEET,
    ),
    Rule(
        "accounts: the role of a listed account leads into that account",
        "config/accounts.py",
        'if roles and (found := roles[-1].arn(account, "aws").split(":")[4]) != account:',
        'if roles and (found := roles[-1].arn(account, "aws").split(":")[4]) == "":',
        ("tests/config/test_accounts.py",),
    ),
    Rule(
        "waves: no wave begins after one without an account",
        "fleet/run.py",
        "        waves.refuse_empty(self.settings.waves, accounts)\n",
        "",
        FLEET,
    ),
    Rule(
        "waves: no wave begins after one in which no user ended well",
        "fleet/run.py",
        "tally.bad and not any(map(waves.ended_well, found))",
        "False",
        ("tests/fleet/test_run_in_waves.py",),
    ),
    Rule(
        "requests: the URL of one operation is used for no other one",
        "aws/direct.py",
        "if protocol in _PROTOCOLS else set()",
        "",
        ("tests/aws/test_direct.py",),
    ),
    Rule(
        "waves: no user begins once too many failed",
        "fleet/run.py",
        "            if tally.stopped:\n                return waves.not_begun(job, tally)\n",
        "",
        FLEET,
    ),
    Rule(
        "waves: no wave begins after one that was stopped",
        "fleet/run.py",
        "            if tally.stopped:\n                results.extend(waves.accounts_not_begun",
        "            if False:\n                results.extend(waves.accounts_not_begun",
        FLEET,
    ),
    Rule(
        "waves: status is looked at between two waves",
        "fleet/run.py",
        "elif wave.status and (problem := self._unwell(jobs, results)):",
        "elif wave.status and (problem := ''):",
        FLEET,
    ),
    Rule(
        "plan: what is not decided as planned is refused",
        "planning/binding.py",
        "if different and (decision.outcome is not Outcome.REFUSED or found.hook):",
        "if False:",
        PLANNED,
    ),
    Rule(
        "plan: an old one is refused at the decision, too",
        "planning/binding.py",
        "        refuse_expired(expires, now)\n",
        "",
        PLANNED,
    ),
    Rule(
        "plan: a user that is not in it is not touched",
        "fleet/planned.py",
        "left_out.append(job.user.key)",
        "jobs.append(job)",
        PLANNED,
    ),
    Rule(
        "plan: the configuration is that of the plan",
        "fleet/planned.py",
        "if planned.decision.configuration != configuration_of(job, runtime, settings):",
        "if False:",
        PLANNED,
    ),
    Rule(
        "plan: a changed file is refused",
        "reports/plan_file.py",
        "    if hashlib.sha256(body).hexdigest() != document.sha256:",
        "    if False:",
        PLANNED,
    ),
    Rule(
        "plan: a signature that is expected is checked",
        "reports/plan_file.py",
        "    if not verify(_SIGNED + body, document.ed25519):",
        "    if False:",
        PLANNED,
    ),
    Rule(
        "on Lambda: no user is begun for whom the time does not suffice",
        "serverless/chunk.py",
        "if stop.may_begin:",
        "if True:",
        FUNCTIONS,
    ),
    Rule(
        "on Lambda: no other host judges a process dead",
        "rotation/lease.py",
        'start="" if _copies else _start(pid)',
        "start=_start(pid)",
        ("tests/rotation/test_lease.py",),
    ),
    Rule(
        "on Lambda: that holds for every program that runs there",
        "fleet/run.py",
        'if variable("AWS_LAMBDA_FUNCTION_NAME") else nullcontext()',
        "if False else nullcontext()",
        ("tests/fleet/test_run.py",),
    ),
    Rule(
        "on Lambda: a proof that the time does not suffice for is ended, and its key deleted",
        "rotation/creation.py",
        "except (NotVerified, Stopped) as error:",
        "except NotVerified as error:",
        FUNCTIONS,
    ),
    Rule(
        "on Lambda: a user about whom no function reported is named",
        "serverless/summary.py",
        "if name not in known",
        "if False",
        FUNCTIONS,
    ),
)


def main(words: list[str]) -> int:
    """Break every chosen rule; the exit code is 1 if the tests did not notice one."""
    chosen = [rule for rule in RULES if not words or any(word in rule.name for word in words)]
    if not chosen:
        print(f"No rule's name has {' or '.join(words)}. The rules:", *(f"- {rule.name}" for rule in RULES), sep="\n")
        return 2
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="twokey-rules-") as folder:
        whole = _copy(HERE, Path(folder) / "whole", leave_out="__pycache__")
        guards = dict.fromkeys(test for rule in chosen for test in rule.guards)
        if _failing(whole, tuple(guards)):
            print("The tests fail although nothing is broken.")
            return 1
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            found = list(pool.map(lambda pair: _try(whole, Path(folder) / str(pair[0]), pair[1]), enumerate(chosen)))
    for rule, test in zip(chosen, found, strict=True):
        print(f"{'found ' if test else 'MISSED'}  {rule.name}{f'  ({test})' if test else ''}")
    caught = sum(1 for test in found if test)
    print(f"{caught} of {len(chosen)} broken rules found, {time.monotonic() - began:.0f} s.")
    return int(caught != len(chosen))


def _try(whole: Path, folder: Path, rule: Rule) -> str:
    """Break the rule in a copy of its own; return the first test that notices.

    What Python compiled of the whole copy is copied too: only the file that changes is compiled again.
    """
    copy = _copy(whole, folder)
    file = copy / "src" / "twokey" / rule.file
    text = file.read_text(encoding="utf-8")
    if text.count(rule.text) != 1:
        raise SystemExit(f"{rule.name}: expected its text once in {rule.file}, found it {text.count(rule.text)} times.")
    file.write_text(text.replace(rule.text, rule.broken), encoding="utf-8")
    return _failing(copy, rule.guards)


def _copy(source: Path, folder: Path, *, leave_out: str = "") -> Path:
    folder.mkdir()
    for name in COPIED:
        there = source / name
        if there.is_dir():
            shutil.copytree(there, folder / name, ignore=shutil.ignore_patterns(leave_out))
        else:
            shutil.copy(there, folder)
    return folder


def _failing(copy: Path, tests: tuple[str, ...]) -> str:
    """Return the first of the tests that fails in this copy, or the empty string."""
    environment = {**os.environ, "PYTHONPATH": str(copy / "src")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    ran = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    if ran.returncode == 0:
        return ""
    failed = [line.split(" ")[1] for line in ran.stdout.splitlines() if line.startswith("FAILED ")]
    if not failed:
        raise SystemExit(f"The tests could not be run: {ran.stdout[-2000:]}{ran.stderr[-2000:]}")
    return failed[0].removeprefix("tests/")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
