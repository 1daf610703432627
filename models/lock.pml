/* A store that has no conditional write, such as Parameter Store, with a lock elsewhere: the fence, step by step as
 * destinations/locks/locked_store.py in src/twokey performs it.
 *
 * Two runs, each of which may be killed or paused at any step, for any length of time, and begin again. A lease may end
 * at any time. The store compares nothing: a run compares its versions before it writes, and what it then writes takes
 * effect whatever another run has written meanwhile. Rotations and faults are not counted. The steps of a rotation are those of rotation.pml, without
 * what the fence has no part in: propagation, verification, other destinations, and LAST, which is removed at once.
 *
 *   -DWITHOUT_rule   leaves out one rule; the rules are listed together below
 *
 * A run is not paused between the response of the lock and the request to the store: no fence can see that.
 * docs/explanation/model.md says how to run this, and shows what happens without each rule.
 */

mtype = { I1, I3, I4, I6 };

/* A key is one bit, and a byte is a set of keys. */
#define key byte
#define keys byte
#define NONE 0
#define A 1
#define ALL 63

/* ------------------------------------------------------------------------------------------------------ the state */

keys exists;
key in_store;                    /* what jobs read */

/* The journal, beside the credential in the store. */
typedef Journal {
    byte lease;                  /* the run that took it last; 0 once it is released */
    bool intent;                 /* it is open */
    key current
}
Journal journal;

byte lock;                       /* the value of the lock: another one with each write */

/* What a run remembers. */
typedef Run {
    byte lock;                   /* the value that it read, or the one that it wrote last */
    bool unchanged;              /* the versions in the store are those that it read, or wrote last */
    bool intent;                 /* the journal as it was read, or as it was written last */
    key current;
    key new                      /* to be removed as an orphan, to be stored, or stored and to be committed */
}
Run runs[3];                     /* the first is number 1 */
#define MY runs[me]

byte running;
byte calm;                       /* the faults have ended: one undisturbed run follows, then nothing */
#define NOT_YET 0
#define BEGUN 1
#define OVER 2
#define FAULT (calm == NOT_YET)

/* ------------------------------------------------------------------- a line for each step: step, who, what, state */

#define LETTER(one) ((one) -> '@' + (one > 0) + (one > 1) + (one > 2) + (one > 4) + (one > 8) + (one > 16) : '-')
#define IF_THERE(one, letter) ((exists & one) -> letter : ' ')
#define SHOW printf(" | %c%c%c%c%c%c | %c | %d | -\n", IF_THERE(1, 'A'), IF_THERE(2, 'B'), IF_THERE(4, 'C'), \
    IF_THERE(8, 'D'), IF_THERE(16, 'E'), IF_THERE(32, 'F'), LETTER(in_store), lock)
#define TELL(text) printf(text, me); SHOW
#define TELL_KEY(text, one) printf(text, me, LETTER(one)); SHOW

/* ----------------------------------------------------------------------------------------- what must never happen */

inline must(invariant, holds) {
    if
    :: holds
    :: else -> printf("broken | %e\n", invariant); assert(false)
    fi
}

inline judge_the_end() {
    must(I4, in_store == journal.current && !journal.intent);
    must(I6, exists == journal.current)
}

/* ------------------------------------------------------------------------------------------------------ the rules */

/* There is a lock: it is taken before the journal is written, from the value that was read before the journal was. */
#ifdef WITHOUT_lock
#define IS_MINE true
#define STILL_MINE true
#else
#define IS_MINE (lock == MY.lock)
/* Right before each request to the store, the lock is read again. */
#ifdef WITHOUT_lock_before_request
#define STILL_MINE true
#else
#define STILL_MINE (lock == MY.lock)
#endif
#endif

/* Once the lock is taken, the versions in the store are compared with those that were read. */
#ifdef WITHOUT_lock_and_versions
#define UNCHANGED true
#else
#define UNCHANGED MY.unchanged
#endif

/* -------------------------------------------------------------------------------------------------------- effects */

#define MENTIONED (exists | in_store | journal.current | OF(runs[1]) | OF(runs[2]))
#define OF(run) (run.current | run.new)

/* The lowest bit that nothing mentions. One is always left, so no state is missed for lack of IDs. */
inline unused_id(one) {
    assert(MENTIONED != ALL);
    one = ~MENTIONED & (MENTIONED + 1)
}

/* A value that no run remembers, as a random one is. */
inline advance_lock() {
    if
    :: lock != 1 && runs[1].lock != 1 && runs[2].lock != 1 -> lock = 1
    :: else ->
        if
        :: lock != 2 && runs[1].lock != 2 && runs[2].lock != 2 -> lock = 2
        :: else ->
            assert(lock != 3 && runs[1].lock != 3 && runs[2].lock != 3); lock = 3
        fi
    fi;
    MY.lock = lock
}

inline remember_journal() {
    MY.intent = journal.intent; MY.current = journal.current; MY.unchanged = true
}

inline written() {
    runs[1].unchanged = false; runs[2].unchanged = false; MY.unchanged = true
}

inline write_journal() {
    journal.lease = me; journal.intent = MY.intent; journal.current = MY.current;
    written()
}

inline forget() {
    MY.lock = 0; MY.unchanged = false; MY.intent = false; MY.current = NONE; MY.new = NONE
}

/* --------------------------------------------------------------------------------------------------------- a run */

proctype Rotate(byte me) {

look:
    /* It reads the lock and the journal, one after the other. */
end_between_runs:
    atomic {
        FAULT || calm == BEGUN && me == 1;
        running++;
        MY.lock = lock
    }
    atomic {
        if
        :: FAULT -> goto ended
        :: true -> remember_journal(); TELL("look | run %d | has read the lock and the journal")
        fi
    }

lease:
    /* An earlier lease was released, or its holder is dead or paused beyond its end. */
    atomic {
        if
        :: FAULT -> goto ended
        :: !IS_MINE -> TELL("lease | run %d | finds that another run has taken the lock"); goto ended
        :: IS_MINE -> advance_lock(); TELL("lease | run %d | takes the lock")
        fi
    }
    atomic {
        if
        :: FAULT -> goto ended
        :: !UNCHANGED -> goto ended
        :: UNCHANGED
        fi
    }
    atomic {
        if
        :: FAULT -> goto ended
        :: !STILL_MINE -> goto ended
        :: STILL_MINE -> write_journal(); TELL("lease | run %d | writes its lease to the journal")
        fi
    }

observe:
    atomic {
        if
        :: FAULT -> goto ended
        :: journal.lease != me -> goto ended
        :: journal.lease == me -> remember_journal()
        fi;
        if
        :: MY.intent && in_store != MY.current -> MY.new = in_store; goto commit
        :: MY.intent && in_store == MY.current -> MY.new = exists & ~MY.current
        :: !MY.intent ->
            if
            :: in_store != MY.current -> TELL("observe | run %d | refuses: the journal names another key");
                must(I4, false)
            :: else
            fi;
            if
            :: exists & ~MY.current -> TELL("observe | run %d | refuses: a key cannot be attributed");
                must(I6, false)
            :: else
            fi
        fi
    }

make_room:
    if
    :: MY.new ->
        atomic {
            if
            :: FAULT -> goto ended
            :: !IS_MINE -> goto ended
            :: IS_MINE -> advance_lock(); TELL("make room | run %d | takes the lock once more")
            fi
        }
        atomic {
            if
            :: FAULT -> goto ended
            :: true -> exists = exists & ~MY.new; TELL_KEY("make room | run %d | removes the orphaned key %c", MY.new);
                must(I3, !(MY.new & in_store)); MY.new = NONE
            fi
        }
    :: else
    fi;

intent:
    /* The creation follows its intent at once. */
    atomic {
        if
        :: FAULT -> goto ended
        :: !IS_MINE -> goto ended
        :: IS_MINE -> advance_lock()
        fi
    }
    atomic {
        if
        :: FAULT -> goto ended
        :: !UNCHANGED -> goto ended
        :: UNCHANGED
        fi
    }
    atomic {
        if
        :: FAULT -> goto ended
        :: !STILL_MINE || (exists & (exists - 1)) -> goto ended
        :: STILL_MINE && !(exists & (exists - 1)) ->
            MY.intent = true; write_journal();
            unused_id(MY.new); exists = exists | MY.new;
            TELL_KEY("create | run %d | writes the intent and creates %c", MY.new)
        fi
    }

store:
    atomic {
        if
        :: FAULT -> goto ended
        :: !UNCHANGED -> goto ended
        :: UNCHANGED
        fi
    }
    atomic {
        if
        :: FAULT -> goto ended
        :: !STILL_MINE -> TELL("store | run %d | finds that another run has taken the lock"); goto ended
        :: STILL_MINE -> in_store = MY.new; written(); TELL_KEY("store | run %d | stores %c", MY.new); must(I1, MY.new & exists)
        fi
    }

commit:
    atomic {
        if
        :: FAULT -> goto ended
        :: !IS_MINE -> goto ended
        :: IS_MINE -> advance_lock()
        fi
    }
    atomic {
        if
        :: FAULT -> goto ended
        :: !UNCHANGED -> goto ended
        :: UNCHANGED
        fi
    }
    atomic {
        if
        :: FAULT -> goto ended
        :: !STILL_MINE -> goto ended
        :: STILL_MINE -> MY.current = MY.new; MY.intent = false; write_journal();
            exists = exists & in_store; TELL_KEY("commit | run %d | commits %c; its predecessor is removed", MY.new);
            must(I3, in_store & exists)
        fi
    }

ended:
    atomic {
        running--;
        forget();
        if :: journal.lease == me -> journal.lease = 0 :: else fi;
        if :: calm == BEGUN -> calm = OVER; judge_the_end() :: else fi
    }
    goto look
}

/* ------------------------------------------------------------------------------------------------ everything else */

init {
    atomic {
        exists = A; in_store = A; journal.current = A;
        run Rotate(2);
        run Rotate(1)
    }
end_of_faults:
    atomic { calm == NOT_YET && running == 0 -> calm = BEGUN }
}
