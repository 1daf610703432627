/* The move of one machine user to another store, step by step as moving/move.py in src/twokey performs it, while a run
 * with the old configuration rotates from the former store and a run with the new one rotates from the new store.
 *
 * Each of the three may be killed or paused at any step, for any length of time, and begin again; a response may be
 * lost. Rotations and faults are not counted. The steps of a rotation are those of rotation.pml, without what a move
 * has no part in: propagation, verification, grace and other destinations.
 *
 *   -DWITHOUT_rule   leaves out one rule; the rules are listed together below
 *
 * docs/explanation/model.md says how to run this, and shows what happens without each rule.
 */
mtype = { I1, I3, I4, M1, M2, former, new };

/* A key is one bit, and a byte is a set of keys. */
#define key byte
#define keys byte
#define NONE 0
#define A 1
#define B 2
#define ALL 63

/* ------------------------------------------------------------------------------------------------------ the state */

#define FORMER 0
#define NEW 1

keys exists;
key store[2];                    /* what jobs read */

/* The journal beside the credential of each store. */
typedef Journal {
    byte lease;                  /* the process that took it last; 0 once it is released */
    bool intent;                 /* it is open */
    key current;
    key last;
    key other;                   /* what the other store was last given, as far as this journal knows */
    bool moved;
    bool arriving
}
Journal journal[2];

/* What a run or a move remembers. Number 1 rotates from the former store, number 2 from the new one; number 3 moves. */
typedef Run {
    bool seen;                   /* no other run has written to its store since this one read it */
    bool seen_new;               /* the same of the new store, for a move */
    key current;                 /* what the former store held, for a move; the key that is created, for a rotation */
    key gone                     /* to be removed */
}
Run runs[4];
#define MY runs[me]

byte running;
byte calm;                       /* the faults have ended: one undisturbed move follows, then nothing */
#define NOT_YET 0
#define BEGUN 1
#define OVER 2
#define FAULT (calm == NOT_YET)

/* ------------------------------------------------------------------- a line for each step: step, who, what, state */

#define LETTER(one) ((one) -> '@' + (one > 0) + (one > 1) + (one > 2) + (one > 4) + (one > 8) + (one > 16) : '-')
#define IF_THERE(one, letter) ((exists & one) -> letter : ' ')
#define SHOW printf(" | %c%c%c%c%c%c | %c | %c | -\n", IF_THERE(1, 'A'), IF_THERE(2, 'B'), IF_THERE(4, 'C'), \
    IF_THERE(8, 'D'), IF_THERE(16, 'E'), IF_THERE(32, 'F'), LETTER(store[FORMER]), LETTER(store[NEW]))
#define TELL(text) printf(text); SHOW
#define TELL_KEY(text, one) printf(text, LETTER(one)); SHOW
#define OWN (s == FORMER -> former : new)
#define RUN(text) printf(text, OWN); SHOW
#define RUN_KEY(text, one) printf(text, OWN, LETTER(one)); SHOW

/* ----------------------------------------------------------------------------------------- what must never happen */

inline must(invariant, holds) {
    if
    :: holds
    :: else -> printf("broken | %e\n", invariant); assert(false)
    fi
}

#define ROTATES(s) (journal[s].current && !journal[s].moved && !journal[s].arriving)

inline judge_journals() {
    must(M1, !(ROTATES(FORMER) && ROTATES(NEW)))
}

inline judge_removal(one) {
    must(I3, !(one & (store[FORMER] | store[NEW])))
}

inline judge_switch() {
    must(M2, store[NEW] == store[FORMER] && journal[NEW].current == journal[FORMER].current &&
        journal[NEW].last == journal[FORMER].last && journal[NEW].intent == journal[FORMER].intent &&
        journal[NEW].other == store[FORMER])
}

inline judge_the_end() {
    must(I4, journal[FORMER].moved && !journal[NEW].arriving)
}

/* ------------------------------------------------------------------------------------------------------ the rules */

/* The new store's journal says from its first write on that a move is under way. */
#ifdef WITHOUT_arriving
#define ARRIVING false
#else
#define ARRIVING true
#endif

/* The former store says that the user has moved before the new one stops saying that a move is under way. */
#ifdef WITHOUT_switch_first
#define AFTER_COPY arrive
#define AFTER_ARRIVE switch
#define AFTER_SWITCH ended
#else
#define AFTER_COPY switch
#define AFTER_SWITCH arrive
#define AFTER_ARRIVE ended
#endif

/* The former store's journal names the new one before the pair is written there. */
#ifdef WITHOUT_record
#define RECORDS false
#else
#define RECORDS true
#endif

/* A key that the new store was given by an earlier move stays recorded until it has another one. */
#ifdef WITHOUT_earlier_record
#define KEEPS false
#else
#define KEEPS (journal[FORMER].other & (journal[FORMER].current | journal[FORMER].last))
#endif

/* The new store's journal records that the former one holds CURRENT. */
#ifdef WITHOUT_former
#define FORMER_HOLDS NONE
#else
#define FORMER_HOLDS MY.current
#endif

/* The journal moves as a whole. */
#ifdef WITHOUT_whole
#define OPEN_INTENT false
#else
#define OPEN_INTENT journal[FORMER].intent
#endif

/* Every write of a move to the former store's journal is under a lease that the move holds there. */
#ifdef WITHOUT_source_lease
#define SOURCE_IS_MINE true
#else
#define SOURCE_IS_MINE (journal[FORMER].lease == me)
#endif

/* With an open intent, the former store is fenced: what a paused run has prepared is not written there any more. */
#ifdef WITHOUT_source_fence
#define FENCES false
#else
#define FENCES journal[FORMER].intent
#endif

/* -------------------------------------------------------------------------------------------------------- effects */

#define REMEMBERED (runs[1].current | runs[2].current | runs[3].current | runs[1].gone | runs[2].gone)
#define MENTIONED (exists | store[0] | store[1] | journal[0].current | journal[0].last | journal[0].other | \
    journal[1].current | journal[1].last | journal[1].other | REMEMBERED)

/* The lowest bit that nothing mentions. One is always left, so no state is missed for lack of IDs. */
inline unused_id(one) {
    assert(MENTIONED != ALL);
    one = ~MENTIONED & (MENTIONED + 1)
}

/* A write to a store makes what any other run has prepared for it fail. */
inline written(where) {
    if
    :: where == FORMER -> runs[1].seen = false
    :: else -> runs[2].seen = false; runs[3].seen_new = false
    fi
}

inline forget() {
    MY.seen = false; MY.seen_new = false; MY.current = NONE; MY.gone = NONE
}

/* ---------------------------------------------------------------------------------------------------- a rotation */

proctype Rotate(byte me; byte s) {

look:
end_between_runs:
    atomic {
        FAULT && ROTATES(s);
        running++;
        journal[s].lease = me; RUN("take | a run from the %e store | takes the lease")
    }

observe:
    atomic {
        if
        :: FAULT -> goto ended
        :: journal[s].lease != me || !ROTATES(s) -> goto ended
        :: journal[s].lease == me && ROTATES(s) -> MY.seen = true
        fi;
        if
        :: journal[s].intent && store[s] != journal[s].current -> MY.current = store[s]; goto commit
        :: journal[s].intent && store[s] == journal[s].current ->
            MY.gone = exists & ~(journal[s].current | journal[s].last | journal[s].other)
        :: !journal[s].intent ->
            if
            :: journal[s].last & exists & ~journal[s].other -> MY.gone = journal[s].last
            :: else ->
                if :: (exists & (exists - 1)) -> goto ended :: else fi     /* LAST may be held elsewhere: refused */
            fi
        fi
    }

make_room:
    if
    :: MY.gone ->
        atomic {
            if
            :: FAULT -> goto ended
            :: journal[s].intent && !MY.seen -> goto ended
            :: journal[s].intent && MY.seen -> written(s); MY.seen = true; RUN("make room | a run from the %e store | fences its store")
            :: !journal[s].intent
            fi
        }
        atomic {
            if
            :: FAULT -> goto ended
            :: true -> exists = exists & ~MY.gone; RUN_KEY("make room | a run from the %e store | removes %c", MY.gone); judge_removal(MY.gone);
                MY.gone = NONE
            fi
        }
    :: else
    fi;

create:
    /* The creation follows its intent at once. */
    atomic {
        if
        :: FAULT -> goto ended
        :: journal[s].lease != me -> goto ended
        :: journal[s].lease == me && (exists & (exists - 1)) -> goto ended
        :: journal[s].lease == me && !(exists & (exists - 1)) ->
            journal[s].intent = true;
            unused_id(MY.current); exists = exists | MY.current; RUN_KEY("create | a run from the %e store | creates %c", MY.current)
        fi
    }

put:
    atomic {
        if
        :: FAULT -> goto ended
        :: !MY.seen -> goto ended
        :: MY.seen ->
            store[s] = MY.current; written(s); MY.seen = true; RUN_KEY("store | a run from the %e store | stores %c", MY.current);
            must(I1, MY.current & exists)
        fi
    }

commit:
    atomic {
        if
        :: FAULT -> goto ended
        :: journal[s].lease != me -> goto ended
        :: journal[s].lease == me ->
            journal[s].last = journal[s].current; journal[s].current = MY.current; journal[s].intent = false;
            RUN_KEY("commit | a run from the %e store | commits %c", MY.current)
        fi
    }

ended:
    atomic {
        running--;
        forget();
        if :: journal[s].lease == me -> journal[s].lease = 0 :: else fi
    }
    goto look
}

/* --------------------------------------------------------------------------------------------------------- a move */

proctype Move(byte me) {

look:
end_between_moves:
    atomic {
        FAULT || calm == BEGUN;
        (!journal[FORMER].moved || journal[NEW].arriving);
        running++;
        if
        :: journal[FORMER].moved -> journal[NEW].lease = me; TELL("take | the move | takes the new store's lease");
            goto arrive
        :: else -> journal[FORMER].lease = me; TELL("take | the move | takes the former store's lease")
        fi
    }

take_target:
    atomic {
        if
        :: FAULT -> goto ended
        :: journal[FORMER].moved -> goto ended
        :: !journal[FORMER].moved ->
            journal[NEW].lease = me; journal[NEW].arriving = ARRIVING; MY.seen_new = true;
            TELL("take | the move | takes the new store's lease"); judge_journals()
        fi
    }

fence:
    if
    :: FENCES ->
        atomic {
            if
            :: FAULT -> goto ended
            :: !SOURCE_IS_MINE -> goto ended
            :: SOURCE_IS_MINE -> written(FORMER); TELL("fence | the move | fences the former store")
            fi
        }
    :: else
    fi;

look_again:
    atomic {
        if
        :: FAULT -> goto ended
        :: !SOURCE_IS_MINE || journal[NEW].lease != me -> goto ended
        :: SOURCE_IS_MINE && journal[NEW].lease == me -> MY.current = store[FORMER]
        fi
    }

record:
    atomic {
        if
        :: FAULT -> goto ended
        :: !SOURCE_IS_MINE -> goto ended
        :: SOURCE_IS_MINE ->
            if :: RECORDS && !KEEPS -> journal[FORMER].other = MY.current :: else fi;
            TELL("record | the move | records what the new store is about to hold")
        fi
    }

put:
    atomic {
        if
        :: FAULT -> goto ended
        :: !MY.seen_new -> goto ended
        :: MY.seen_new -> store[NEW] = MY.current; written(NEW); MY.seen_new = true;
            TELL_KEY("put | the move | writes %c to the new store", MY.current); must(I1, MY.current & exists);
            if :: true :: FAULT -> goto ended fi
        fi
    }

copy:
    atomic {
        if
        :: FAULT -> goto ended
        :: journal[NEW].lease != me -> goto ended
        :: journal[NEW].lease == me ->
            journal[NEW].current = journal[FORMER].current; journal[NEW].last = journal[FORMER].last;
            journal[NEW].intent = OPEN_INTENT; journal[NEW].other = FORMER_HOLDS;
            TELL("copy | the move | copies the journal"); judge_journals();
            goto AFTER_COPY
        fi
    }

switch:
    /* That the former store is read again before is not modeled: no run of twokey can have written there. */
    atomic {
        if
        :: FAULT -> goto ended
        :: !SOURCE_IS_MINE -> goto ended
        :: SOURCE_IS_MINE -> journal[FORMER].moved = true; TELL("switch | the move | says where the user is now");
            judge_switch(); judge_journals();
            goto AFTER_SWITCH
        fi
    }

arrive:
    atomic {
        if
        :: FAULT -> goto ended
        :: journal[NEW].lease != me -> goto ended
        :: journal[NEW].lease == me -> journal[NEW].arriving = false;
            TELL("arrive | the move | says that it is finished"); judge_journals();
            goto AFTER_ARRIVE
        fi
    }

ended:
    atomic {
        running--;
        forget();
        if :: journal[FORMER].lease == me -> journal[FORMER].lease = 0 :: else fi;
        if :: journal[NEW].lease == me -> journal[NEW].lease = 0 :: else fi;
        if :: calm == BEGUN -> calm = OVER; judge_the_end() :: else fi
    }
    goto look
}

/* ------------------------------------------------------------------------------------------------ everything else */

init {
    atomic {
        exists = A | B; store[FORMER] = A; journal[FORMER].current = A; journal[FORMER].last = B;
        run Rotate(1, FORMER);
        run Rotate(2, NEW);
        run Move(3)
    }
end_of_faults:
    atomic { calm == NOT_YET && running == 0 && (!journal[FORMER].moved || journal[NEW].arriving) ->
        calm = BEGUN; TELL("- | time | the faults end") }
}
