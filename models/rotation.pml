/* The rotation of one machine user, step by step as rotation/rotate.py, planning/decision.py and rotation/apply.py in
 * src/twokey perform it.
 *
 * Spin explores every order of events: one or two runs of twokey, each of which may be killed or paused at any step for
 * any length of time; requests that are refused and responses that are lost; keys that propagate late; jobs that read a
 * destination at any time; an operator who creates keys outside twokey. Neither rotations nor faults are counted: both
 * may go on forever. The ID of a key that nothing mentions any more is used again, so the states are finite all the
 * same.
 *
 *   -DRUNS=2         two runs at once; the lease of either may end at any time, and the other takes over
 *   -DGRACE=2        grace, in ticks
 *   -DOPERATOR       an operator creates and removes keys outside twokey
 *   -DWITHOUT_rule   leaves out one rule; the rules are listed together below
 *
 * docs/explanation/model.md says how to run this, and shows what happens without each rule.
 */
#ifndef RUNS
#define RUNS 1
#endif
#ifndef GRACE
#define GRACE 2
#endif

mtype = { I1, I2, I3, I4, I5, I6, I7 };

/* A key is one bit, and a byte is a set of keys. */
#define key byte
#define keys byte
#define NONE 0
#define A 1
#define B 2
#define ALL 63

/* ------------------------------------------------------------------------------------------------------ the state */

/* IAM. */
keys exists;
keys works;                      /* they have propagated: they authenticate, and lists show them */
keys dated;                      /* their CreateDate is right after an intent */
keys unmanaged;                  /* created outside twokey */

/* What jobs read: the store, and a second destination. */
key in_store;
key in_pipeline;

/* The journal, beside the credential in the store. */
typedef Journal {
    byte lease;                  /* the run that took it last; 0 once it is released */
    bool intent;                 /* it is open */
    key known;                   /* to the intent; what the same run has just removed is left out */
    key current;
    key last;
    byte grace                   /* ticks until the grace of LAST is over */
}
Journal journal;

/* What a run remembers. */
typedef Run {
    keys listed;
    keys dated;                  /* of those: see above */
    bool store_seen;             /* no other run has written to the store since this run read it */
    key orphan;                  /* to be removed */
    key last;                    /* to be removed */
    key former;                  /* CURRENT before this rotation */
    key new                      /* created by this run, or read from the store to finish its delivery */
}
Run runs[RUNS + 1];              /* the first is number 1 */
#define MY runs[me]

/* Everything else. */
byte sending;                    /* the run that has just written its intent and is about to create, or 0 */
key job;                         /* what a job uses */
byte job_left;                   /* for how many ticks it still needs it */
byte running;                    /* runs under way */
byte calm;                       /* the faults have ended: one undisturbed run follows, then nothing */
#define NOT_YET 0
#define BEGUN 1
#define OVER 2
#define FAULT (calm == NOT_YET)

/* ------------------------------------------------------------------- a line for each step: step, who, what, state */

#define LETTER(one) ((one) -> '@' + (one > 0) + (one > 1) + (one > 2) + (one > 4) + (one > 8) + (one > 16) : '-')
#define IF_THERE(one, letter) ((exists & one) -> letter : ' ')
#define SHOW printf(" | %c%c%c%c%c%c | %c | %c | %c\n", IF_THERE(1, 'A'), IF_THERE(2, 'B'), IF_THERE(4, 'C'), \
    IF_THERE(8, 'D'), IF_THERE(16, 'E'), IF_THERE(32, 'F'), LETTER(in_store), LETTER(in_pipeline), LETTER(job))
#define TELL(text) printf(text, me); SHOW
#define TELL_KEY(text, one) printf(text, me, LETTER(one)); SHOW

/* ----------------------------------------------------------------------------------------- what must never happen */

inline must(invariant, holds) {
    if
    :: holds
    :: else -> printf("broken | %e\n", invariant); assert(false)
    fi
}

#define FEWER_THAN_TWO(some) (((some) & ((some) - 1)) == 0)
#define HELD (in_store | in_pipeline)

inline judge_delivery() {
    must(I1, (in_store & works) && (in_pipeline & works))
}

inline judge_removal(one) {
    must(I2, job != one);
    must(I3, !(one & HELD));
    must(I7, !(one & unmanaged))
}

inline judge_creation() {
    if
    :: FEWER_THAN_TWO(exists & ~unmanaged)
    :: else -> TELL("create | run %d | requests a third key"); must(I5, false)
    fi
}

inline judge_the_end() {
    if
    :: exists & unmanaged          /* it may have refused, naming that key */
    :: else ->
        must(I4, in_store == in_pipeline && in_store == journal.current && !journal.intent);
        must(I6, (exists & ~(journal.current | journal.last)) == NONE)
    fi
}

/* ------------------------------------------------------------------------------------------------------ the rules */

/* An interrupted rotation whose key is in the store is finished; no other key is created. */
#ifdef WITHOUT_finish
#define FINISHES false
#else
#define FINISHES (journal.intent && in_store != journal.known)
#endif

/* LAST is the key that the journal names and nothing holds, not just any key that the store does not hold. */
#ifdef WITHOUT_held
#define UNFINISHED false
#define ROLLED_BACK false
#define OUT_OF_DATE false
#define IS_LAST(one) (one)
#else
#define UNFINISHED FINISHES
#define ROLLED_BACK (in_store != journal.current)
#define OUT_OF_DATE (in_store != in_pipeline)
#define IS_LAST(one) (one && one == journal.last)
#endif

/* LAST stays until its grace is over. */
#ifdef WITHOUT_grace
#define GRACE_OVER true
#else
#define GRACE_OVER (journal.grace == 0)
#endif

/* Grace counts from the commit, not from the beginning of the rotation. */
#ifdef WITHOUT_grace_from_commit
#define AT_INTENT journal.grace = GRACE
#define AT_COMMIT skip
#else
#define AT_INTENT skip
#define AT_COMMIT journal.grace = GRACE
#endif

/* The known key is recorded before another one is created. */
#ifdef WITHOUT_intent
#define INTEND skip
#else
#define INTEND journal.intent = true; journal.known = MY.former
#endif

/* A key is created right after its intent or not at all. */
#ifdef WITHOUT_fresh_intent
#define MAY_PAUSE (sending != 0)
#else
#define MAY_PAUSE false
#endif

/* CreateAccessKey is sent once. */
#ifdef WITHOUT_single_attempt
#define AFTER_A_LOST_CREATION create
#else
#define AFTER_A_LOST_CREATION ended
#endif

/* While an intent is open, the list is given time to show every key. */
#ifdef WITHOUT_settle
#define SETTLED true
#else
#define SETTLED (!journal.intent || exists == works)
#endif

/* An orphaned key is unknown to the intent, held by nothing, and created right after the intent. */
#ifdef WITHOUT_attribution
#define IS_ORPHAN(one) (journal.intent && (one & ~(journal.known | HELD)))
#else
#define IS_ORPHAN(one) (journal.intent && (one & ~(journal.known | HELD) & MY.dated))
#endif

/* A key is verified before it is published. */
#ifdef WITHOUT_verify
#define VERIFIED true
#else
#define VERIFIED (MY.new & works)
#endif

/* The store gets the key before any other destination: there the secret is safe. */
#ifdef WITHOUT_store_first
#define AFTER_VERIFY deliver
#define AFTER_DELIVER store
#define AFTER_STORE commit
#else
#define AFTER_VERIFY store
#define AFTER_STORE deliver
#define AFTER_DELIVER commit
#endif

/* After a doubtful write of the store nothing is removed. */
#ifdef WITHOUT_doubt
#define AFTER_A_DOUBTFUL_WRITE undo
#else
#define AFTER_A_DOUBTFUL_WRITE ended
#endif

/* A run writes the journal under its own lease only. */
#ifdef WITHOUT_journal_fence
#define LEASE_IS_MINE true
#else
#define LEASE_IS_MINE (journal.lease == me)
#endif

/* A run writes to the store only if no other run has written since it was read. */
#ifdef WITHOUT_store_condition
#define MAY_STORE true
#else
#define MAY_STORE MY.store_seen
#endif

/* Before an orphaned key is removed, a write to the store makes any write that another run has prepared fail. */
#ifdef WITHOUT_orphan_fence
#define FENCES false
#else
#define FENCES true
#endif

/* A delivery begins only while the lease outlasts it. */
#ifdef WITHOUT_lease_at_delivery
#define LEASE_LASTS true
#else
#define LEASE_LASTS (journal.lease == me)
#endif

/* -------------------------------------------------------------------------------------------------------- effects */

#define DELETE_KEY(text, one) d_step { \
        exists = exists & ~one; works = works & ~one; TELL_KEY(text, one); judge_removal(one); \
        dated = dated & ~one; unmanaged = unmanaged & ~one }

#define OF(run) (run.listed | run.orphan | run.last | run.former | run.new)
#define MENTIONED (exists | in_store | in_pipeline | journal.known | journal.current | journal.last | job | \
    OF(runs[1]) | OF(runs[RUNS]))

/* The lowest bit that nothing mentions. One is always left, so no state is missed for lack of IDs. */
inline unused_id(one) {
    assert(MENTIONED != ALL);
    one = ~MENTIONED & (MENTIONED + 1)
}

inline write_store() {
    runs[1].store_seen = false; runs[RUNS].store_seen = false; MY.store_seen = true
}

inline close_intent() {
    journal.intent = false; journal.known = NONE
}

inline remember_nothing() {
    MY.listed = NONE; MY.dated = NONE; MY.store_seen = false;
    MY.orphan = NONE; MY.last = NONE; MY.former = NONE; MY.new = NONE
}

/* --------------------------------------------------------------------------------------------------------- a run */

proctype Rotate(byte me) {

look:
    /* Nothing is modeled here: a run may begin at any time, whether a rotation is due or not. */

lease:
    /* It was released, or its holder is dead or paused beyond its end; but not within seconds of writing the intent. */
end_between_runs:
    atomic {
        (FAULT || calm == BEGUN && me == 1) && sending == 0;
        running++;
        journal.lease = me; TELL("lease | run %d | takes the lease")
    }

observe:
    atomic {
        if
        :: FAULT -> TELL("observe | run %d | is killed"); goto ended
        :: SETTLED -> MY.listed = works; MY.dated = works & dated
        fi
    }
    atomic {
        if
        :: FAULT -> TELL("observe | run %d | is killed"); goto ended
        :: !LEASE_IS_MINE -> TELL("observe | run %d | finds that another run has the lease"); goto ended
        :: LEASE_IS_MINE -> MY.store_seen = true; MY.listed = MY.listed & ~in_store
        fi;
        if
        :: UNFINISHED -> MY.former = journal.known; MY.new = in_store; goto recover
        :: else
        fi;
        if
        :: ROLLED_BACK -> TELL("observe | run %d | refuses: the journal names another key"); must(I4, false)
        :: else
        fi;
        if
        :: FEWER_THAN_TWO(MY.listed) && IS_ORPHAN(MY.listed) -> MY.orphan = MY.listed
        :: else ->
            if
            :: IS_LAST(MY.listed) -> MY.last = MY.listed
            :: MY.listed && !IS_LAST(MY.listed) ->
                TELL_KEY("observe | run %d | refuses: %c cannot be attributed", MY.listed);
                must(I6, (MY.listed & unmanaged) || !(MY.listed & exists));
                goto ended
            :: else
            fi
        fi;
        if
        :: OUT_OF_DATE -> MY.former = MY.last; MY.last = NONE; MY.new = in_store; goto recover
        :: else
        fi;
        if
        :: MY.last && !GRACE_OVER -> TELL("observe | run %d | ends: the grace of LAST is not over"); goto ended
        :: else
        fi;
        MY.former = in_store; MY.listed = NONE; MY.dated = NONE
    }

preflight:
    /* Changes nothing. A run that ends here leaves the same state as one that is killed before it makes room. */

make_room:
    if
    :: MY.orphan && FENCES ->
        atomic {
            if
            :: FAULT -> TELL("make room | run %d | is killed"); goto ended
            :: !MY.store_seen -> TELL("make room | run %d | finds that the store has changed"); goto ended
            :: MY.store_seen -> write_store(); TELL("make room | run %d | fences the store")
            fi
        }
    :: else
    fi;
    if
    :: MY.orphan ->
        atomic {
            if
            :: FAULT -> TELL("make room | run %d | is killed"); goto ended
            :: true -> DELETE_KEY("make room | run %d | removes the orphaned key %c", MY.orphan); MY.orphan = NONE
            fi
        }
    :: MY.last ->
        atomic {
            if
            :: FAULT -> TELL("make room | run %d | is killed"); goto ended
            :: true -> DELETE_KEY("make room | run %d | deletes LAST, %c", MY.last); MY.last = NONE
            fi
        }
    :: else
    fi;

intent:
    atomic {
        if
        :: FAULT -> TELL("intent | run %d | is killed"); goto ended
        :: !LEASE_IS_MINE -> TELL("intent | run %d | finds that another run has the lease"); goto ended
        :: LEASE_IS_MINE -> INTEND; AT_INTENT; sending = me; TELL("intent | run %d | writes the intent")
        fi
    }

create:
    atomic {
        judge_creation();
        if
        :: FAULT -> TELL("create | run %d | is killed"); goto ended
        :: FAULT || !FEWER_THAN_TWO(exists) ->
            TELL("create | run %d | is refused a key");
            if :: LEASE_IS_MINE -> close_intent() :: true fi;        /* it stays open if an earlier one was */
            goto ended
        :: FEWER_THAN_TWO(exists) ->
            unused_id(MY.new); exists = exists | MY.new;
            if :: sending == me -> dated = dated | MY.new; sending = 0 :: else fi;
            if
            :: TELL_KEY("create | run %d | creates %c", MY.new)
            :: FAULT -> TELL_KEY("create | run %d | creates %c; the response is lost", MY.new);
                goto AFTER_A_LOST_CREATION
            fi
        fi
    }

verify:
    atomic {
        if
        :: FAULT -> TELL("verify | run %d | is killed"); goto ended
        :: VERIFIED -> goto AFTER_VERIFY
        :: !VERIFIED && (FAULT || !(MY.new & exists)) ->
            TELL_KEY("verify | run %d | cannot verify %c in time", MY.new);
            goto undo
        fi
    }

store:
    atomic {
        if
        :: FAULT -> TELL("store | run %d | is killed"); goto ended
        :: FAULT -> TELL_KEY("store | run %d | cannot store %c: the store refuses it", MY.new); goto undo
        :: !MAY_STORE -> TELL("store | run %d | finds that the store has changed"); goto ended
        :: MAY_STORE ->
            in_store = MY.new; write_store();
            if
            :: TELL_KEY("store | run %d | stores %c", MY.new); judge_delivery(); goto AFTER_STORE
            :: FAULT -> TELL_KEY("store | run %d | stores %c; the response is lost", MY.new); judge_delivery();
                goto AFTER_A_DOUBTFUL_WRITE
            fi
        fi
    }

recover:
    atomic {
        MY.listed = NONE; MY.dated = NONE;
        if
        :: FAULT -> TELL("recover | run %d | is killed"); goto ended
        :: MY.new & works -> TELL_KEY("recover | run %d | reads %c from the store", MY.new)
        fi
    }

deliver:
    atomic {
        if
        :: FAULT -> TELL("deliver | run %d | is killed"); goto ended
        :: !LEASE_LASTS -> TELL("deliver | run %d | finds that another run has the lease"); goto ended
        :: LEASE_LASTS ->
            in_pipeline = MY.new;
            if
            :: TELL_KEY("deliver | run %d | delivers %c", MY.new); judge_delivery(); goto AFTER_DELIVER
            :: FAULT -> TELL_KEY("deliver | run %d | delivers %c; the response is lost", MY.new); judge_delivery();
                goto ended
            fi
        fi
    }

commit:
    atomic {
        if
        :: FAULT -> TELL("commit | run %d | is killed"); goto ended
        :: !LEASE_IS_MINE -> TELL("commit | run %d | finds that another run has the lease"); goto ended
        :: LEASE_IS_MINE ->
            journal.current = MY.new; journal.last = MY.former; close_intent(); AT_COMMIT;
            TELL_KEY("commit | run %d | commits %c", MY.new);
            goto ended
        fi
    }

undo:
    /* Remove the key that was not published, then close the intent. */
    atomic {
        if
        :: FAULT -> TELL("undo | run %d | is killed"); goto ended
        :: true -> DELETE_KEY("undo | run %d | removes %c", MY.new)
        fi
    }
    atomic {
        if
        :: FAULT -> TELL("undo | run %d | is killed")
        :: !LEASE_IS_MINE -> TELL("undo | run %d | finds that another run has the lease")
        :: LEASE_IS_MINE -> close_intent(); TELL("undo | run %d | closes the intent")
        fi
    }

ended:
    /* Done, refused, failed or killed: only the journal is left. A dead run's lease holds nothing up. */
    atomic {
        running--;
        d_step {
            remember_nothing();
            if :: sending == me -> sending = 0 :: else fi;
            if :: journal.lease == me -> journal.lease = 0 :: else fi;
            if :: calm == BEGUN -> calm = OVER; judge_the_end() :: else fi
        }
    }
    goto look
}

/* ------------------------------------------------------------------------------------------------ everything else */

proctype World() {
    key made;
end_world:
    do
    :: atomic { calm == NOT_YET && (journal.grace || job_left) ->
        if :: journal.grace -> journal.grace-- :: else fi;
        if :: job_left -> job_left-- :: else fi;
        if :: job_left == 0 -> job = NONE :: else fi;
        printf("- | time | a tick passes"); SHOW }
    :: atomic { calm == NOT_YET && job == NONE -> job = in_store; job_left = GRACE;
        printf("- | a job | reads %c from the store", LETTER(job)); SHOW }
    :: atomic { calm == NOT_YET && job == NONE && in_pipeline != in_store -> job = in_pipeline; job_left = GRACE;
        printf("- | a job | reads %c from the pipeline", LETTER(job)); SHOW }
    :: atomic { works != exists -> works = exists; printf("- | AWS | propagates every key"); SHOW }
    :: atomic { MAY_PAUSE -> printf("- | run %d | is paused", sending); SHOW; sending = 0 }
#ifdef OPERATOR
    :: atomic { calm == NOT_YET && sending == 0 && FEWER_THAN_TWO(exists) ->
        unused_id(made); exists = exists | made; unmanaged = unmanaged | made;
        printf("- | the operator | creates %c outside twokey", LETTER(made)); SHOW; made = NONE }
    :: atomic { calm == NOT_YET && (exists & unmanaged) ->
        exists = exists & ~unmanaged; works = works & ~unmanaged; unmanaged = NONE;
        printf("- | the operator | removes the unmanaged key"); SHOW }
#endif
    :: atomic { calm == NOT_YET && running == 0 ->
        calm = BEGUN; journal.grace = 0; job = NONE; job_left = 0;
        printf("- | time | the faults end; every grace is over"); SHOW }
    od
}

init {
    atomic {
        exists = A; works = A; in_store = A; in_pipeline = A; journal.current = A;
        if
        :: true
        :: exists = A | B; works = A | B; journal.last = B; journal.grace = GRACE
        fi;
        run World();
#if RUNS == 2
        run Rotate(2);
#endif
        run Rotate(1)
    }
}
