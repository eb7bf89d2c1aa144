/* collect.c - collecting on request, and switching collection off.
 *
 * GC_dont_gc is a counter in a variable that programs also write. gcdune's own counter gets at most one from here:
 * `held' says whether it has, and follows GC_dont_gc and GC_set_disable_automatic_collection. It is changed under
 * libgc_lock, which gcdune_disable and gcdune_enable permit since they only count. */
#include "libgc.h"

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

/* What an incremental mode would be for is how gcdune collects anyway, or not at all: there is none to switch on, and
 * no work left over between two calls. */
void GC_enable_incremental(void)
{
	libgc_init();
}

int GC_is_incremental_mode(void)
{
	return 0;
}

void GC_start_incremental_collection(void)
{
	libgc_init();
}

int GC_collect_a_little(void)
{
	libgc_init();
	return 0;
}

int GC_incremental_protection_needs(void)
{
	return GC_PROTECTS_NONE;
}

void GC_set_manual_vdb_allowed(int value)
{
	(void)value;
}

int GC_get_manual_vdb_allowed(void)
{
	return 0;
}
