/* SPDX-License-Identifier: Apache-2.0 */
/*
 * collect.pml: sessions, commits and collection (docs/format/repository.md, section 11) as a model for Spin.
 *
 * Two writers, two collectors and somebody who deletes a checkpoint do what the format says, a step at a time, in every
 * order. A process that is never scheduled again has died; one that goes on after the others are done was paused for
 * long; revocation may strike any session at any moment, because whether a writer is dead is only guessed. There is no
 * clock in it.
 *
 * A list is one step here. A real one shows surely only what is there from its beginning to its end; no more is used: what
 * a writer misses it stores again, what a collector misses it finds missing, and nothing that an epoch names is added to a
 * run once the sessions that did not know of it have ended.
 *
 * Always: what a checkpoint needs lies in a pack that is there, and the index says so.
 * At last, wherever everything stopped: one more collector gives back all that no checkpoint needs.
 *
 * With -DLATE it is the protocol in a bucket: a run that a session had sent when it was revoked may still arrive (so may a
 * pack, but what no run names is only space). There a writer looks whether a pack is there before it counts on it, and a
 * collector's run supersedes nothing: the old ones are removed after it, if the collector's session is still there when
 * the run is.
 *
 * Blocks are X and Y. A pack stands for the blocks that it holds, so a run is the packs that it names. Taking rules away
 * (-DNO_…) must break it; test/model/run does that.
 */
#define X 1
#define Y 2
#define BIT(n) (1 << (n))

/* Packs 0 and 1 are old; 2, 3 the writers'; 4, 5 the collectors', 6 the last collector's. */
#define PACKS 7
/* Runs 0 and 1 are old; 2, 3 the writers'; 4, 5 their merges; 6, 7, 8 the collectors'. */
#define RUNS 9
/* Sessions 0, 1 are the writers', 2, 3, 4 the collectors'. */
#define SESSIONS 5
/* Point 0 stays; 1 is deleted at some time; 2, 3 are the writers', one of which may be deleted, too. */
#define POINTS 4
#define LAST 2 /* the number of the last collector */

mtype = { NONE, ALIVE, REVOKED, GONE };

byte there;          /* packs in the store */
byte holds[PACKS];   /* blocks in them */
short runs;          /* runs in the store */
byte names[RUNS];    /* packs that they name */
short replaces[RUNS];
byte epoch[3];       /* packs that it names; 0: it is not there */
byte points;
byte needs[POINTS];
mtype session[SESSIONS];
bool frozen;         /* everything has stopped but the last collector */

hidden byte _j; /* within one step */

/* ---- looking: sets of what is there ---- */

#define BLOCKS(p) ( \
	((p) & BIT(0) -> holds[0] : 0) | ((p) & BIT(1) -> holds[1] : 0) | ((p) & BIT(2) -> holds[2] : 0) | \
	((p) & BIT(3) -> holds[3] : 0) | ((p) & BIT(4) -> holds[4] : 0) | ((p) & BIT(5) -> holds[5] : 0) | \
	((p) & BIT(6) -> holds[6] : 0))

#define EPOCHS (epoch[0] | epoch[1] | epoch[2])

#define NEEDED ( \
	(points & BIT(0) -> needs[0] : 0) | (points & BIT(1) -> needs[1] : 0) | \
	(points & BIT(2) -> needs[2] : 0) | (points & BIT(3) -> needs[3] : 0))

/* Of the runs r, all that these replace. */
#define REPLACED(r) ( \
	((r) & BIT(0) -> replaces[0] : 0) | ((r) & BIT(1) -> replaces[1] : 0) | ((r) & BIT(2) -> replaces[2] : 0) | \
	((r) & BIT(3) -> replaces[3] : 0) | ((r) & BIT(4) -> replaces[4] : 0) | ((r) & BIT(5) -> replaces[5] : 0) | \
	((r) & BIT(6) -> replaces[6] : 0) | ((r) & BIT(7) -> replaces[7] : 0) | ((r) & BIT(8) -> replaces[8] : 0))

/* The runs that count. */
#define INDEX (runs & ~REPLACED(runs))

#define PACKS_OF(r) ( \
	((r) & BIT(0) -> names[0] : 0) | ((r) & BIT(1) -> names[1] : 0) | ((r) & BIT(2) -> names[2] : 0) | \
	((r) & BIT(3) -> names[3] : 0) | ((r) & BIT(4) -> names[4] : 0) | ((r) & BIT(5) -> names[5] : 0) | \
	((r) & BIT(6) -> names[6] : 0) | ((r) & BIT(7) -> names[7] : 0) | ((r) & BIT(8) -> names[8] : 0))

/* Of the runs r those that name a pack of p. */
#define NAMING(r, p) ((r) & ( \
	(names[0] & (p) -> BIT(0) : 0) | (names[1] & (p) -> BIT(1) : 0) | (names[2] & (p) -> BIT(2) : 0) | \
	(names[3] & (p) -> BIT(3) : 0) | (names[4] & (p) -> BIT(4) : 0) | (names[5] & (p) -> BIT(5) : 0) | \
	(names[6] & (p) -> BIT(6) : 0) | (names[7] & (p) -> BIT(7) : 0) | (names[8] & (p) -> BIT(8) : 0)))

#define THERE(s) (session[s] == ALIVE || session[s] == REVOKED)
#define SESSIONS_THERE ((THERE(0) -> 1 : 0) | (THERE(1) -> 2 : 0) | (THERE(2) -> 4 : 0) | (THERE(3) -> 8 : 0))

#ifdef LATE
#define may_arrive(n) true
#else
#define may_arrive(n) (session[n] != GONE)
#endif
/* What a run says lies in these packs, as one who looks at them first counts on it. */
#if defined(LATE) && !defined(NO_PRESENCE)
#define SEEN(p) ((p) & there)
#else
#define SEEN(p) (p)
#endif

/* ---- a writer ---- */

/* The last collector works while everything else stands still. */
#define may_go(me) (!frozen || me == LAST)

proctype Writer(byte me)
{
	byte condemned, known, want, have;
	short counting, merged;

	atomic {
		!frozen;
		session[me] = ALIVE;
		if
		:: want = X
		:: want = Y
		fi
	}
#ifndef NO_ORDER
	atomic { !frozen; condemned = EPOCHS }
#endif
	atomic { !frozen; counting = INDEX; known = PACKS_OF(counting) }
#ifdef NO_ORDER /* the index before the epochs */
	atomic { !frozen; condemned = EPOCHS }
#endif
	/* Look for it; or take it over from a checkpoint that is there, of which only the root is known. */
	if
	:: atomic { have = want & BLOCKS(SEEN(known) & ~condemned) }
#ifdef NO_PARENT_RULE
#define may_take(p) (!frozen && (points & BIT(p)))
#else
#define may_take(p) (!frozen && (points & BIT(p)) && !condemned)
#endif
	:: atomic { may_take(1) -> want = needs[1]; have = want }
	:: atomic { may_take(3 - me) -> want = needs[3 - me]; have = want }
	fi;
	/* In a session that is gone there is nothing to write to. */
	if
	:: atomic { have -> skip }
	:: atomic { !frozen && !have && session[me] == GONE -> goto over }
	:: atomic { !frozen && !have && session[me] != GONE ->
		holds[2 + me] = want;
		there = there | BIT(2 + me) }
		if
		:: atomic { !frozen && session[me] == GONE -> goto over }
		:: atomic { !frozen && may_arrive(me) ->
			names[2 + me] = BIT(2 + me);
			runs = runs | BIT(2 + me) }
		fi
	fi;
#ifndef PLAIN_WRITERS
	/* Merge what it saw of the index, or not. */
	if
	:: atomic { !frozen -> merged = 0 }
	:: atomic { !frozen && may_arrive(me) ->
#ifdef NO_MERGE_RULE
		merged = counting;
#else
		merged = counting & ~NAMING(counting, condemned);
#endif
		have = PACKS_OF(merged);
		names[4 + me] = have;
		replaces[4 + me] = merged;
		runs = runs | (merged -> BIT(4 + me) : 0) }
		atomic { !frozen -> runs = runs & ~merged }
	fi;
#endif
	/* The commit: one step, which a session that is not there fails. */
	atomic {
		!frozen;
		if
#ifdef NO_REVOCATION
		:: true ->
#else
		:: session[me] != ALIVE
		:: session[me] == ALIVE ->
#endif
			needs[2 + me] = want;
			points = points | BIT(2 + me);
			session[me] = GONE
		fi
	}
over:
	atomic { condemned = 0; known = 0; want = 0; have = 0; counting = 0; merged = 0 }
}

/* ---- a collector ---- */

/* Wait for session n, or end it: it is renamed, then removed. */
#define END_OF(n) \
	:: atomic { may_go(me) && (waits & BIT(n)) && session[n] == GONE -> waits = waits & ~BIT(n) } \
	:: atomic { may_go(me) && (waits & BIT(n)) && session[n] == ALIVE -> session[n] = REVOKED } \
	:: atomic { may_go(me) && (waits & BIT(n)) && session[n] == REVOKED -> session[n] = GONE }

inline collect(me, drop)
{
	atomic { may_go(me) -> epoch[me] = drop }
#ifdef NO_SECOND_LOOK /* what is needed is found out before the others have ended */
	atomic { may_go(me) -> needed = NEEDED }
#endif
#ifndef NO_WAIT
	atomic { may_go(me) -> waits = SESSIONS_THERE }
	do
	END_OF(0)
	END_OF(1)
	END_OF(2)
	END_OF(3)
	:: atomic { waits == 0 -> break }
	od;
#endif
	atomic { may_go(me) -> session[2 + me] = ALIVE }
	atomic {
		may_go(me);
		condemned = EPOCHS;
		condemned = condemned | drop
#ifdef NO_OTHERS /* what another collector is about to drop is relied on */
		; condemned = drop
#endif
	}
	atomic { may_go(me) -> counting = INDEX; known = PACKS_OF(counting) }
	/* What is needed and has no other place is copied. What only another's packs have, the other copies. */
	atomic {
		may_go(me);
#ifndef NO_SECOND_LOOK
		needed = NEEDED;
#endif
		needed = needed & ~BLOCKS(SEEN(known) & ~condemned) & BLOCKS(SEEN(known) & drop);
		made = 0
	}
	if
	:: atomic { needed == 0 -> skip }
	:: atomic { may_go(me) && needed && session[2 + me] == GONE -> goto over }
	:: atomic { may_go(me) && needed && session[2 + me] != GONE ->
		if
		:: (needed & ~BLOCKS(known & drop & there)) -> goto over /* somebody else has dropped it: begin again, another time */
		:: else
		fi;
		made = BIT(4 + me);
		holds[4 + me] = needed;
		there = there | made }
	fi;
	/* One run in place of those that name what goes. Those that name what another drops stay as they are. */
	if
	:: atomic { may_go(me) && session[2 + me] == GONE -> goto over }
	:: atomic { may_go(me) && may_arrive(2 + me) ->
		merged = NAMING(counting, drop) & ~NAMING(counting, condemned & ~drop);
		names[6 + me] = made | (PACKS_OF(merged) & ~drop);
#if !defined(LATE) || defined(NO_SEPARATE_REMOVAL)
		replaces[6 + me] = merged | (REPLACED(merged) & runs);
#endif
		runs = runs | BIT(6 + me) }
	fi;
#ifdef LATE
	if
	:: atomic { may_go(me) && session[2 + me] == GONE -> goto over }
	:: atomic { may_go(me) && session[2 + me] != GONE -> skip }
#ifdef NO_CHECK
	:: atomic { may_go(me) -> skip }
#endif
	fi;
	/* What is superseded goes first: it must not count again. */
	atomic { may_go(me) -> runs = runs & ~REPLACED(runs) }
	atomic { may_go(me) -> runs = runs & ~merged }
#endif
	atomic { may_go(me) -> session[2 + me] = GONE }
#ifdef NO_LASTING_EPOCH /* it goes before what it names */
	atomic { may_go(me) -> epoch[me] = 0 }
#endif
	atomic { may_go(me) -> there = there & ~drop }
	/* Runs and epochs that are done with go, also those that others left. */
	atomic { may_go(me) -> merged = runs & ~INDEX }
	atomic { may_go(me) -> runs = runs & ~merged }
	atomic {
		may_go(me);
		for (_j : 0 .. 2) {
			if
			:: !NAMING(runs, epoch[_j]) && !(epoch[_j] & there) -> epoch[_j] = 0
			:: else
			fi
		}
	}
}

#define COLLECTOR_LOCALS \
	byte drop, condemned, known, needed, made, waits; \
	short counting, merged

/* It may drop whatever is there: which packs are worth it does not matter to what is safe. */
proctype Collector(byte me)
{
	COLLECTOR_LOCALS;

	atomic {
		!frozen;
		if
		:: there & BIT(0) -> drop = BIT(0)
#ifndef FEW_DROPS
		:: there & BIT(1) -> drop = BIT(1)
		:: (there & 3) == 3 -> drop = 3
		:: there & BIT(2) -> drop = BIT(2)
		:: (there & 5) == 5 -> drop = 5
		:: me == 1 && epoch[0] -> drop = epoch[0] | (there & 3)
#endif
		:: there & BIT(4) -> drop = BIT(4)
		:: me == 1 && epoch[0] -> drop = epoch[0] /* what another one left, or is still at */
		fi
	}
	collect(me, drop);
over:
	atomic { drop = 0; condemned = 0; known = 0; needed = 0; made = 0; waits = 0; counting = 0; merged = 0 }
}

/*
 * Everything stops, anywhere: what checkpoints need must be there, and the index tell where. Then one collector must be
 * able to finish what the others left.
 */
proctype LastCollector()
{
	COLLECTOR_LOCALS;

	atomic {
		frozen = true;
		for (_j : 0 .. SESSIONS - 1) {
			session[_j] = GONE
		}
		needed = NEEDED;
		counting = INDEX; known = PACKS_OF(counting);
		assert(!(needed & ~BLOCKS(known & there)));
		drop = EPOCHS;
		for (_j : 0 .. PACKS - 1) {
			if
			:: (there & BIT(_j)) && !(holds[_j] & needed) -> drop = drop | BIT(_j)
			:: else
			fi
		}
		collect(LAST, drop);
		assert(!(there & drop));
		assert(epoch[0] == 0 && epoch[1] == 0 && epoch[2] == 0);
		known = PACKS_OF(runs);
#ifdef LATE /* a late run may name what is gone, and nobody counts on it */
		known = known & there;
#endif
		assert(!(known & ~there));
		needed = NEEDED;
		assert(!(needed & ~BLOCKS(known)));
		assert(SESSIONS_THERE == 0);
		goto done
	}
over:
	skip;
	assert(false);
done:
	skip
}

proctype Owner()
{
	atomic { !frozen; points = points & ~BIT(1) }
	if
	:: atomic { !frozen; points = points & ~BIT(2) }
	:: atomic { !frozen; points = points & ~BIT(3) }
	fi
}

init {
	atomic {
		holds[0] = X | Y;
		holds[1] = X;
		there = 3;
		names[0] = BIT(0);
		names[1] = BIT(1);
		runs = 3;
		needs[0] = X;
		needs[1] = Y;
		points = 3;
		for (_j : 0 .. SESSIONS - 1) { session[_j] = NONE }
		run Writer(0);
#ifndef ONE_WRITER
		run Writer(1);
#endif
		run Collector(0);
#ifndef ONE_COLLECTOR
		run Collector(1);
#endif
		run Owner();
		run LastCollector()
	}
}
