/* The naive rotation: "if there are two keys, delete the older one; create a new one; store it."
 *
 *   -DVERIFY            a key is verified before it is stored
 *   -DSPACED            a rotation begins only when grace has passed since the beginning of the previous one
 *   -DASK_THE_STORE     the key that the store does not hold is deleted, whatever its age
 *   -DFAULTLESS         nothing fails: no crash, no lost response, no refusal
 *   -DONLY=I3           only one invariant is judged
 *
 * docs/explanation/why-not-delete-the-oldest.md shows the consequences. The words are those of rotation.pml.
 */
#ifndef ONLY
#define ONLY 0
#endif
#define GRACE 2
#ifdef FAULTLESS
#define FAULT false
#else
#define FAULT true
#endif
#ifdef VERIFY
#define VERIFIED (new & works)
#else
#define VERIFIED true
#endif
#ifdef SPACED
#define MAY_BEGIN (since_start == GRACE)
#else
#define MAY_BEGIN true
#endif
#ifdef ASK_THE_STORE
#define VICTIM ((older | newer) & ~in_store)
#else
#define VICTIM older
#endif

mtype = { I1, I2, I3 };

/* A key is one bit, and a byte is a set of keys. */
#define key byte
#define keys byte
#define NONE 0
#define A 1
#define B 2
#define C 4
#define F 32

key older = A, newer = B;        /* what IAM has */
keys works = 3;
key in_store = B, in_pipeline = B;
key next = C;                     /* up to F: four rotations are enough */
key job;
byte job_left;
byte since_start = GRACE;        /* ticks since the latest rotation began, counted up to grace */

#define LETTER(one) ((one) -> '@' + (one > 0) + (one > 1) + (one > 2) + (one > 4) + (one > 8) + (one > 16) : '-')
#define SHOW printf(" | %c%c | %c | %c | %c\n", LETTER(older), LETTER(newer), LETTER(in_store), LETTER(in_pipeline), \
    LETTER(job))

inline must(invariant, holds) {
    if
    :: holds || (ONLY && invariant != ONLY)
    :: else -> printf("broken | %e\n", invariant); assert(false)
    fi
}

inline create_key(one) {
    one = next; next = next << 1;
    if :: older :: else -> older = newer fi;
    newer = one
}

proctype Rotate() {
    key new, victim;

end_between_runs:
    atomic {
        next <= F && MAY_BEGIN -> since_start = 0; victim = VICTIM; printf("begin | run 1 | begins"); SHOW
    }
    atomic {
        if
        :: older ->
            if :: victim == older -> older = NONE :: else -> newer = older; older = NONE fi;
            works = works & ~victim;
            printf("delete | run 1 | deletes %c", LETTER(victim)); SHOW;
            must(I2, job != victim);
            must(I3, victim != in_store && victim != in_pipeline)
        :: else
        fi;
        victim = NONE
    }
    atomic {
        create_key(new);
        if
        :: printf("create | run 1 | creates %c", LETTER(new)); SHOW
        :: FAULT -> printf("create | run 1 | creates %c; the response is lost", LETTER(new)); SHOW; goto ended
        fi
    }
    atomic {
        if
        :: FAULT -> printf("store | run 1 | is killed"); SHOW; goto ended
        :: VERIFIED -> in_store = new; printf("store | run 1 | stores %c", LETTER(new)); SHOW; must(I1, in_store & works)
        fi
    }
    atomic {
        if
        :: FAULT -> printf("deliver | run 1 | is refused by the pipeline"); SHOW
        :: true -> in_pipeline = new; printf("deliver | run 1 | delivers %c", LETTER(new)); SHOW
        fi
    }
ended:
    new = NONE;
    goto end_between_runs
}

proctype World() {
end_world:
    do
    :: atomic { since_start < GRACE || job_left ->
        if :: since_start < GRACE -> since_start++ :: else fi;
        if :: job_left -> job_left-- :: else fi;
        if :: job_left == 0 -> job = NONE :: else fi;
        printf("- | time | a tick passes"); SHOW }
    :: atomic { job == NONE -> job = in_store; job_left = GRACE;
        printf("- | a job | reads %c from the store", LETTER(job)); SHOW }
    :: atomic { works != (older | newer) -> works = older | newer;
        printf("- | AWS | propagates every key"); SHOW }
    od
}

init { atomic { run World(); run Rotate() } }
