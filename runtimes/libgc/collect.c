/* collect.c - collecting on request, and switching collection off.
 *
 * GC_dont_gc is a counter in a variable that programs also write. gcdune's own counter gets at most one from here:
 * `held' says whether it has, and follows GC_dont_gc and GC_set_disable_automatic_collection. It is changed under
 * libgc_lock, which gcdune_disable and gcdune_enable permit since they only count. */
#include "libgc.h"

#include "cycle.h"
#include "dirty/dirty.h"
#include "mark.h"
#include "options.h"
#include "os.h"
#include "thread.h"

static bool held;
static bool automatic_off;
static int force_unmap;
bool libgc_deinitialized;

static int never(void)
{
	return 0;
}

static GC_stop_func stop_func = never;

static void hold(bool hold_it)
{
	if (hold_it == held)
		return;
	held = hold_it;
	if (hold_it)
		gcdune_disable();
	else
		gcdune_enable();
}

void libgc_collection_apply(void)
{
	pthread_mutex_lock(&libgc_lock);
	hold(GC_dont_gc || automatic_off || libgc_deinitialized);
	pthread_mutex_unlock(&libgc_lock);
}

void GC_disable(void)
{
	pthread_mutex_lock(&libgc_lock);
	GC_dont_gc++;
	hold(true);
	pthread_mutex_unlock(&libgc_lock);
}

void GC_enable(void)
{
	pthread_mutex_lock(&libgc_lock);
	GC_dont_gc--;
	hold(GC_dont_gc || automatic_off);
	pthread_mutex_unlock(&libgc_lock);
}

int GC_is_disabled(void)
{
	return GC_dont_gc != 0;
}

void GC_set_disable_automatic_collection(int value)
{
	automatic_off = value != 0;
	libgc_collection_apply();
}

int GC_get_disable_automatic_collection(void)
{
	return automatic_off;
}

/* Collects also where only automatic collection is off. */
static int collect(GC_stop_func stop, bool unmap)
{
	bool opened;

	libgc_init();
	libgc_settings_apply();
	if (GC_dont_gc || stop())
		return 0;
	pthread_mutex_lock(&libgc_lock);
	opened = held && !GC_dont_gc;
	if (opened)
		hold(false);
	pthread_mutex_unlock(&libgc_lock);
	if (unmap)
		gcdune_collect_and_release();
	else
		gcdune_collect();
	if (opened)
		libgc_collection_apply();
	return 1;
}

void GC_gcollect(void)
{
	collect(stop_func, force_unmap);
}

void GC_gcollect_and_unmap(void)
{
	collect(never, true);
}

int GC_try_to_collect(GC_stop_func stop)
{
	return collect(stop, force_unmap);
}

void GC_set_stop_func(GC_stop_func stop)
{
	stop_func = stop;
}

GC_stop_func GC_get_stop_func(void)
{
	return stop_func;
}

void GC_set_force_unmap_on_gcollect(int value)
{
	force_unmap = value != 0;
}

int GC_get_force_unmap_on_gcollect(void)
{
	return force_unmap;
}

/* Nothing is given back: objects stay where they are. */
void GC_deinit(void)
{
	if (!libgc_initialized)
		return;
	libgc_deinitialized = true;
	libgc_collection_apply();
}

/* ---- Incremental collection ----
 *
 * Collections run beside the program anyway, where its writes can be seen. The mode says that the program wants that: then a
 * time limit is the pause goal, the number of partial collections counts (settings.c), and a collection can be begun without waiting for it, and helped with. */

static bool incremental;
bool libgc_incremental_refused;

void GC_enable_incremental(void)
{
	libgc_init();
	if (libgc_incremental_refused || gcdune_options.mode == GCDUNE_MODE_STW || !gcdune_dirty_usable())
		return;
	incremental = true;
	libgc_time_limit_apply();
	libgc_full_freq_apply();
}

int GC_is_incremental_mode(void)
{
	return incremental;
}

/* One that would stop the program for less than the pause goal is over on return. */
void GC_start_incremental_collection(void)
{
	libgc_init();
	libgc_settings_apply();
	if (incremental && !GC_dont_gc)
		gcdune_cycle_collect(GCDUNE_CYCLE_BUDGET);
}

static void *let_the_marker_run(void *unused)
{
	gcdune_os_sleep(50000);
	return unused;
}

int GC_collect_a_little(void)
{
	enum { A_LITTLE = 2048 }; /* objects */
	struct gcdune_thread *self;

	libgc_init();
	libgc_settings_apply();
	self = gcdune_thread_get();
	if (!self || self->critical || gcdune_cycle_locked_here() || gcdune_cycle_runs_here())
		return 0;
	if (!gcdune_collector_busy()) {
		if (!GC_dont_gc && gcdune_heap.allocated >= gcdune_heap.trigger)
			gcdune_cycle_collect(GCDUNE_CYCLE_BUDGET);
	} else {
		bool helped;

		gcdune_critical_enter(self);
		helped = gcdune_mark_assist(A_LITTLE);
		gcdune_critical_leave(self);
		/* Nothing to be had: what is left is the collector's thread's own, which must not be kept from running. */
		if (!helped)
			gcdune_blocking_call(let_the_marker_run, NULL);
	}
	gcdune_cycle_after();
	return gcdune_collector_busy() != 0;
}

int GC_incremental_protection_needs(void)
{
	return GC_PROTECTS_NONE;
}

/* Whether the program may say itself what it writes. It is seen in any case, so that what is said is not needed. */
static int manual_vdb;

void GC_set_manual_vdb_allowed(int value)
{
	manual_vdb = value != 0;
}

int GC_get_manual_vdb_allowed(void)
{
	return manual_vdb;
}
