/* settings.c - what can be set and asked: the setters and getters of gc.h, and making gcdune follow.
 *
 * Settings of Boehm's policy that have no counterpart are kept for their getters; gc.h says which these are. */
#include "libgc.h"

#include <stdio.h>
#include <stdlib.h>

#include "options.h"
#include "pacer.h"

/* Boehm's default divisor stands for gcdune's default growth, other divisors in proportion. */
#define DEFAULT_DIVISOR 3
#define LEAST_GROWTH 10

static void growth_apply(void)
{
	static GC_word applied = DEFAULT_DIVISOR;
	static int dont_expand;
	GC_word divisor = GC_free_space_divisor ? GC_free_space_divisor : 1;
	unsigned percent;

	if (divisor == applied && GC_dont_expand == dont_expand)
		return;
	applied = divisor;
	dont_expand = GC_dont_expand;
	percent = (unsigned)(GCDUNE_GROWTH_DEFAULT * DEFAULT_DIVISOR / divisor);
	gcdune_growth_set(dont_expand || percent < LEAST_GROWTH ? LEAST_GROWTH : percent);
}

static void segments_apply(void)
{
	static int no_dls;

	if (GC_no_dls == no_dls)
		return;
	no_dls = GC_no_dls;
	libgc_segments_apply(no_dls != 0);
}

void libgc_settings_apply(void)
{
	libgc_collection_apply();
	growth_apply();
	segments_apply();
	libgc_full_freq_apply();
	gcdune_finalizers_mode_set(GC_finalize_on_demand ? GCDUNE_FINALIZE_ON_DEMAND : GCDUNE_FINALIZE_AUTO);
}

/* A pair that stores and reads one variable. */
#define KEPT(type, name, variable)                \
	void GC_set_##name(type value)            \
	{                                         \
		variable = value;                 \
	}                                         \
	type GC_get_##name(void)                  \
	{                                         \
		return variable;                  \
	}

static struct GC_timeval_s time_limit_fraction;
static GC_word bytes_per_finalizer = 10000;
static size_t min_bytes = 1;
static int rate = 10;
static int max_prior_attempts = 1;

KEPT(int, find_leak, GC_find_leak)
KEPT(GC_word, non_gc_bytes, GC_non_gc_bytes)
KEPT(GC_word, max_retries, GC_max_retries)
KEPT(int, dont_precollect, GC_dont_precollect)
KEPT(int, java_finalization, GC_java_finalization)
KEPT(GC_word, allocd_bytes_per_finalizer, bytes_per_finalizer)
KEPT(size_t, min_bytes_allocd, min_bytes)
KEPT(int, rate, rate)
KEPT(int, max_prior_attempts, max_prior_attempts)

bool libgc_full_freq_asked;

/* In incremental mode: how long the program may be stopped for a whole collection, if that is expected to be over by then;
 * a longer one runs beside it. */
void libgc_time_limit_apply(void)
{
	static unsigned own;
	unsigned long ms = GC_time_limit;
	char text[24];

	if (!GC_is_incremental_mode())
		return;
	if (!own)
		own = gcdune_options.pause_goal;
	snprintf(text, sizeof text, "%lu",
		 ms >= GC_TIME_UNLIMITED ? own : ms * 1000 + time_limit_fraction.tv_nsec / 1000);
	gcdune_option_set("pause_goal", text);
}

/* In incremental mode, once the program or its user has said it: so many collections of what is new (gcdune's minor cycles)
 * between those of the whole heap. Where nobody chose another mode, they are then always tried. */
void libgc_full_freq_apply(void)
{
	enum { DEFAULT = 19 };

	if (!GC_is_incremental_mode() || (!libgc_full_freq_asked && GC_full_freq == DEFAULT))
		return;
	libgc_full_freq_asked = true;
	gcdune_pacer_minors_set(GC_full_freq > 0 ? (unsigned)GC_full_freq : 0);
	if (gcdune_options.mode == GCDUNE_MODE_AUTO && !getenv("GCDUNE_MODE"))
		gcdune_options.mode = GCDUNE_MODE_GENERATIONAL;
}

void GC_set_full_freq(int value)
{
	GC_full_freq = value;
	libgc_full_freq_asked = true;
	libgc_full_freq_apply();
}

int GC_get_full_freq(void)
{
	return GC_full_freq;
}

void GC_set_time_limit(unsigned long ms)
{
	GC_time_limit = ms;
	libgc_time_limit_apply();
}

unsigned long GC_get_time_limit(void)
{
	return GC_time_limit;
}

void GC_set_time_limit_tv(struct GC_timeval_s limit)
{
	GC_time_limit = limit.tv_ms;
	time_limit_fraction.tv_nsec = limit.tv_nsec;
	libgc_time_limit_apply();
}

struct GC_timeval_s GC_get_time_limit_tv(void)
{
	return (struct GC_timeval_s){ GC_time_limit, time_limit_fraction.tv_nsec };
}

/* A pair whose variable gcdune follows, once it runs. */
#define FOLLOWED(type, name, variable)            \
	void GC_set_##name(type value)            \
	{                                         \
		variable = value;                 \
		if (libgc_initialized)            \
			libgc_settings_apply();   \
	}                                         \
	type GC_get_##name(void)                  \
	{                                         \
		return variable;                  \
	}

FOLLOWED(int, dont_expand, GC_dont_expand)
FOLLOWED(GC_word, free_space_divisor, GC_free_space_divisor)
FOLLOWED(int, no_dls, GC_no_dls)

/* At once, as a program may set it and allocate without GC_init. */
void GC_set_finalize_on_demand(int value)
{
	GC_finalize_on_demand = value;
	gcdune_finalizers_mode_set(value ? GCDUNE_FINALIZE_ON_DEMAND : GCDUNE_FINALIZE_AUTO);
}

int GC_get_finalize_on_demand(void)
{
	return GC_finalize_on_demand;
}

void GC_set_all_interior_pointers(int value)
{
	GC_all_interior_pointers = value != 0;
	gcdune_interior_set(value != 0);
}

int GC_get_all_interior_pointers(void)
{
	return GC_all_interior_pointers;
}

void GC_register_displacement(size_t offset)
{
	if (gcdune_displacement_add(offset))
		libgc_fatal("GC_register_displacement: the offset is too large");
}

void GC_set_max_heap_size(GC_word size)
{
	gcdune_heap_limit_set(size);
}

int GC_expand_hp(size_t size)
{
	size_t now;

	libgc_init();
	now = GC_get_heap_size();
	return libgc_heap_reserve(now + size < now ? SIZE_MAX : now + size);
}

void GC_set_pages_executable(int value)
{
	(void)value;
}

int GC_get_pages_executable(void)
{
	return 0;
}

void GC_set_markers_count(unsigned count)
{
	char text[16];

	if (!count)
		return;
	snprintf(text, sizeof(text), "%u", count);
	gcdune_option_set("markers", text);
}

/* A suggestion, says the interface: one that cannot be followed leaves things as they are. */
void GC_set_suspend_signal(int signal)
{
	gcdune_signal_set(signal);
}

int GC_get_suspend_signal(void)
{
	return gcdune_signal_get();
}

void GC_set_thr_restart_signal(int signal)
{
	(void)signal;
}

int GC_get_thr_restart_signal(void)
{
	return -1;
}

/* gcdune's own handlers do what is to be done around fork. */
void GC_set_handle_fork(int value)
{
	(void)value;
}

void GC_atfork_prepare(void)
{
}

void GC_atfork_parent(void)
{
}

void GC_atfork_child(void)
{
}
