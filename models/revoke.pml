/* The revocation of one machine user's leaked key, step by step as revocation/contain.py, revocation/decision.py and
 * planning/revoked.py in src/twokey perform it, while a schedule rotates the same user.
 *
 * Each of the two may be killed or paused at any step, for any length of time, and begin again; jobs read the store and
 * the pipeline at any time. Rotations and faults are not counted. Key B is CURRENT at first, and has leaked; whether the
 * operator lets it be deleted is open. The steps of a rotation are those of rotation.pml, without what a revocation has
 * no part in: propagation, verification and attribution.
 *
 *   -DWITHOUT_rule   leaves out one rule; the rules are listed together below
 *
 * docs/explanation/model.md says how to run this, and shows what happens without each rule.
 */
mtype = { I2, I3, L1, L2, L3, L4, rotate, revoke };

/* A key is one bit, and a byte is a set of keys. */
#define key byte
#define keys byte
#define NONE 0
#define A 1
#define B 2
#define ALL 63
#define LEAKED B
#define GRACE 1

/* ------------------------------------------------------------------------------------------------------ the state */

keys exists = A | B;
keys works = A | B;              /* they authenticate */
bool contained;                    /* the leaked key was Inactive once */
bool known;                      /* a revocation has had the lease since */
bool wanted;                     /* the operator lets the leaked key be deleted */

/* What jobs read. */
key in_store = B;
key in_pipeline = B;

/* The journal, beside the credential in the store. */
typedef Journal {
    byte lease;                  /* the run that took it last; 0 once it is released */
    bool intent;                 /* it is open */
    key current;
    key last;
    bool revoked;                /* it names the leaked key as revoked */
    bool until;                  /* and says that it may be deleted */
    byte grace                   /* ticks until the grace of LAST is over */
}
Journal journal;

/* What a run remembers. Number 1 is the schedule, number 2 the revocation. */
typedef Memory {
    bool seen;                   /* no other run has written to the store since this one read it */
    key gone;                    /* to be removed */
    key new;                     /* created by this run, or read from the store to finish its delivery */
    bool creates
}
Memory runs[3];
#define MY runs[me]

key job;                         /* what a job uses */
byte job_left;                   /* for how many ticks it still needs it */
byte running;
byte calm;                       /* the faults have ended: one undisturbed revocation follows, then nothing */
#define NOT_YET 0
#define BEGUN 1
#define OVER 2
#define FAULT (calm == NOT_YET)

/* ------------------------------------------------------------------- a line for each step: step, who, what, state */

#define LETTER(one) ((one) -> '@' + (one > 0) + (one > 1) + (one > 2) + (one > 4) + (one > 8) + (one > 16) : '-')
#define IF_THERE(one, letter) ((exists & one) -> letter : ' ')
#define SHOW printf(" | %c%c%c%c%c%c | %c | %c | %c\n", IF_THERE(1, 'A'), IF_THERE(2, 'B'), IF_THERE(4, 'C'), \
    IF_THERE(8, 'D'), IF_THERE(16, 'E'), IF_THERE(32, 'F'), LETTER(in_store), LETTER(in_pipeline), LETTER(job))
#define TELL(text) printf(text); SHOW
#define WHO (me == 1 -> rotate : revoke)
#define RUN(text) printf(text, WHO); SHOW
#define RUN_KEY(text, one) printf(text, WHO, LETTER(one)); SHOW

/* ----------------------------------------------------------------------------------------- what must never happen */

inline must(invariant, holds) {
    if
    :: holds
    :: else -> printf("broken | %e\n", invariant); assert(false)
    fi
}

#define FEWER_THAN_TWO(some) (((some) & ((some) - 1)) == 0)
#define HELD (in_store | in_pipeline)
#define ORPHANED (exists & ~(journal.current | journal.last))

inline judge_removal(one) {
    if
    :: one == LEAKED && known -> must(L2, !(works & LEAKED) && wanted)
    :: one == LEAKED && !known       /* it is a key like any other until then */
    :: one != LEAKED -> must(I2, job != one); must(I3, !(one & HELD))
    fi
}

inline judge_the_end() {
    must(L4, !(works & LEAKED));
    if
    :: in_store == LEAKED && !wanted && !FEWER_THAN_TWO(exists) -> skip  /* there is no room, and the run says so */
    :: else ->                     /* what a rotation left that does not concern the leaked key, the next one finishes */
        must(L4, in_store == in_pipeline && (in_store & works) && in_store == journal.current);
        must(L4, !(wanted && (exists & LEAKED)))
    fi
}

/* ------------------------------------------------------------------------------------------------------ the rules */

/* The leaked key is made Inactive before a lease is taken: another run may hold it. */
#ifdef WITHOUT_contained_first
#define BEGIN lease
#define AFTER_LEASE contain
#define AFTER_CONTAIN observe
#else
#define BEGIN contain
#define AFTER_CONTAIN lease
#define AFTER_LEASE observe
#endif

/* It is never made Active again, not even where it cannot be replaced. */
#ifdef WITHOUT_stays_inactive
#define WITHOUT_ROOM reactivate
#else
#define WITHOUT_ROOM ended
#endif

/* The journal says that it is revoked, before anything else is done: the schedule decides by that, too. */
#ifdef WITHOUT_revoked
#define RECORDS false
#else
#define RECORDS true
#endif

/* A CURRENT that is Inactive does not work: it is replaced, and not taken for one that is in order. */
#ifdef WITHOUT_replaced
#define CURRENT_WORKS true
#else
#define CURRENT_WORKS (in_store & works)
#endif

/* LAST has not leaked: it stays until its grace is over, though there is no room for another key. */
#ifdef WITHOUT_last_stays
#define AT_ONCE (me == 2)
#else
#define AT_ONCE false
#endif
#define LAST_MAY_GO(one) (one == journal.last && (journal.grace == 0 || AT_ONCE) && !(one & HELD))

/* The operator's word: a revocation has it, and the schedule has what the journal says. */
#define ALLOWED (me == 2 && wanted || journal.until)

/* The leaked key makes room only if the operator allows that. */
#ifdef WITHOUT_allowed
#define MAY_MAKE_ROOM true
#else
#define MAY_MAKE_ROOM ALLOWED
#endif

/* As LAST, it is kept until the operator allows its deletion. */
#ifdef WITHOUT_kept
#define KEPT(one) false
#else
#define KEPT(one) (one == LEAKED && journal.revoked && !journal.until)
#endif

/* -------------------------------------------------------------------------------------------------------- effects */

#define MENTIONED (exists | in_store | in_pipeline | journal.current | journal.last | job | LEAKED | \
    runs[1].gone | runs[1].new | runs[2].gone | runs[2].new)

/* The lowest bit that nothing mentions. One is always left, so no state is missed for lack of IDs. */
inline unused_id(one) {
    assert(MENTIONED != ALL);
    one = ~MENTIONED & (MENTIONED + 1)
}

/* A write to the store makes what any other run has prepared for it fail. */
inline written() {
    runs[1].seen = false; runs[2].seen = false; MY.seen = true
}

inline forget() {
    MY.seen = false; MY.gone = NONE; MY.new = NONE; MY.creates = false
}

/* --------------------------------------------------------------------------------------------------------- a run */

proctype Run(byte me) {

look:
end_between_runs:
    atomic {
        FAULT || calm == BEGUN && me == 2;
        running++;
        if
        :: me == 1 -> goto lease
        :: me == 2 -> goto BEGIN
        fi
    }

contain:
    /* A lost response is asked for again: that changes nothing. */
    atomic {
        if
        :: FAULT -> goto ended
        :: true -> works = works & ~LEAKED; contained = true; RUN("contain | %e | makes B Inactive");
            if :: true -> goto AFTER_CONTAIN :: FAULT -> goto ended fi
        fi
    }

lease:
    atomic {
        if
        :: FAULT -> goto ended
        :: true -> journal.lease = me; RUN("take | %e | takes the lease");
            must(L3, me == 1 || !(works & LEAKED));
            if :: me == 2 -> goto AFTER_LEASE :: me == 1 -> goto observe fi
        fi
    }

observe:
    atomic {
        if
        :: FAULT -> goto ended
        :: journal.lease != me -> goto ended
        :: journal.lease == me -> MY.seen = true; known = known || me == 2
        fi;
        if
        :: me == 2 && RECORDS -> journal.revoked = true; journal.until = wanted;
            RUN("record | %e | records that B is revoked")
        :: else
        fi
    }

plan:
    atomic {
        if
        :: FAULT -> goto ended
        :: journal.lease != me || !MY.seen -> goto ended
        :: journal.lease == me && MY.seen
        fi;
        if
        :: journal.intent && in_store != journal.current -> MY.new = in_store; goto deliver
        :: journal.intent && in_store == journal.current && (me == 1 || !CURRENT_WORKS) && ORPHANED ->
            MY.gone = ORPHANED; MY.creates = true
        :: else ->
            if
            :: !CURRENT_WORKS && (exists & ~in_store) == NONE -> MY.creates = true
            :: !CURRENT_WORKS && LAST_MAY_GO((exists & ~in_store)) -> MY.gone = exists & ~in_store; MY.creates = true
            :: !CURRENT_WORKS && (exists & ~in_store) && !LAST_MAY_GO((exists & ~in_store)) ->
                if
                :: MAY_MAKE_ROOM && (exists & in_store) -> MY.gone = in_store; MY.creates = true
                :: !(exists & in_store) -> MY.creates = true
                :: else -> goto WITHOUT_ROOM
                fi
            :: CURRENT_WORKS && in_pipeline != in_store -> MY.new = in_store; goto deliver
            :: CURRENT_WORKS && in_pipeline == in_store && (exists & LEAKED & ~in_store) && ALLOWED ->
                MY.gone = LEAKED
            :: CURRENT_WORKS && in_pipeline == in_store && !((exists & LEAKED & ~in_store) && ALLOWED) ->
                if
                :: me == 2 -> goto ended
                :: me == 1 && (exists & ~in_store) == NONE -> MY.creates = true
                :: me == 1 && LAST_MAY_GO((exists & ~in_store)) && !KEPT((exists & ~in_store)) ->
                    MY.gone = exists & ~in_store; MY.creates = true
                :: me == 1 && (!LAST_MAY_GO((exists & ~in_store)) || KEPT((exists & ~in_store))) -> goto ended
                fi
            fi
        fi
    }

make_room:
    if
    :: MY.gone ->
        atomic {
            if
            :: FAULT -> goto ended
            :: journal.intent && !MY.seen -> goto ended
            :: journal.intent && MY.seen -> written(); RUN("make room | %e | fences the store")
            :: !journal.intent
            fi
        }
        atomic {
            if
            :: FAULT -> goto ended
            :: journal.lease != me -> goto ended
            :: journal.lease == me ->
                exists = exists & ~MY.gone; RUN_KEY("make room | %e | deletes %c", MY.gone); judge_removal(MY.gone);
                works = works & ~MY.gone; MY.gone = NONE;
                if :: true :: FAULT -> goto ended fi
            fi
        }
    :: else
    fi;
    if :: !MY.creates -> goto record_removal :: MY.creates fi;

create:
    /* The creation follows its intent at once; its response may be lost. */
    atomic {
        if
        :: FAULT -> goto ended
        :: journal.lease != me -> goto ended
        :: journal.lease == me && !FEWER_THAN_TWO(exists) -> goto ended
        :: journal.lease == me && FEWER_THAN_TWO(exists) ->
            journal.intent = true;
            unused_id(MY.new); exists = exists | MY.new; works = works | MY.new;
            RUN_KEY("create | %e | creates %c", MY.new);
            if :: true :: FAULT -> goto ended fi
        fi
    }

store:
    atomic {
        if
        :: FAULT -> goto ended
        :: !MY.seen -> goto ended
        :: MY.seen -> in_store = MY.new; written(); RUN_KEY("store | %e | stores %c", MY.new);
            if :: true :: FAULT -> goto ended fi
        fi
    }

deliver:
    atomic {
        if
        :: FAULT -> goto ended
        :: journal.lease != me -> goto ended
        :: journal.lease == me -> in_pipeline = MY.new; RUN_KEY("deliver | %e | delivers %c", MY.new)
        fi
    }

commit:
    atomic {
        if
        :: FAULT -> goto ended
        :: journal.lease != me -> goto ended
        :: journal.lease == me && journal.current != MY.new ->
            journal.last = ((exists & journal.current) -> journal.current : journal.last & exists);
            journal.current = MY.new; journal.intent = false; journal.grace = GRACE;
            RUN_KEY("commit | %e | commits %c", MY.new)
        :: journal.lease == me && journal.current == MY.new -> journal.grace = GRACE
        fi;
        if
        :: me == 2 && wanted && (exists & LEAKED) -> MY.new = NONE; MY.creates = false; goto observe
        :: else -> goto ended
        fi
    }

record_removal:
    atomic {
        if
        :: journal.lease == me -> journal.last = journal.last & exists
        :: journal.lease != me
        fi;
        goto ended
    }

#ifdef WITHOUT_stays_inactive
reactivate:
    /* What a program does that undoes its work where it cannot finish it. */
    atomic {
        works = works | (exists & LEAKED); RUN("undo | %e | makes B Active again");
        must(L1, !contained)
    }
#endif

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

proctype Job() {
end_job:
    do
    :: atomic { job == NONE && FAULT -> job = in_store; job_left = GRACE; TELL("read | a job | reads the store") }
    :: atomic { job == NONE && FAULT && in_pipeline != in_store -> job = in_pipeline; job_left = GRACE;
        TELL("read | a job | reads the pipeline") }
    od
}

proctype Time() {
end_time:
    do
    :: atomic { FAULT && (journal.grace || job_left) ->
        if :: journal.grace -> journal.grace-- :: else fi;
        if :: job_left -> job_left-- :: else fi;
        if :: job_left == 0 -> job = NONE :: else fi;
        TELL("- | time | passes") }
    od
}

init {
    atomic {
        journal.current = B; journal.last = A;
        if
        :: journal.grace = GRACE; job = A; job_left = GRACE        /* a job that read it before the latest rotation */
        :: journal.grace = 0
        fi;
        if :: wanted = true :: wanted = false fi;
        run Run(1);
        run Run(2);
        run Job();
        run Time()
    }
end_of_faults:
    atomic { calm == NOT_YET && running == 0 -> calm = BEGUN; TELL("- | time | the faults end") }
}
