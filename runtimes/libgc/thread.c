/* thread.c - the pthread wrappers of gc_pthread_redirects.h, and registration by hand.
 *
 * libgc.so does not put itself in front of pthread_create: programs made for Boehm's library call GC_pthread_create. A
 * thread made otherwise is attached by GC_register_my_thread, or by its first allocation.
 *
 * Each thread from GC_pthread_create has a record, a pinned object in the list `started': its argument is
 * reachable before the thread runs, its result after it ended and until it is joined, as glibc's own record of the thread
 * is not scanned. The record goes at pthread_join, or at the end of a detached thread.
 *
 * A descriptor may be another thread's as soon as its thread was joined, or was detached and ended. So records are looked up by it
 * before, and taken out as what they are; of two with one descriptor the first in the list is the one that lives. */
#include "libgc.h"

#include <errno.h>
#include <signal.h>
#include <dlfcn.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "thread.h"

struct started {
	struct started *next;
	pthread_t id;
	void *(*start)(void *);
	void *arg;
	void *result;
	bool detached;
	bool begun; /* attached, from here on */
	bool ended;
	bool suspended; /* after it ended */
};

pthread_mutex_t libgc_lock = PTHREAD_MUTEX_INITIALIZER;

static struct started *started_list;
static __thread struct started *started_self;

/* What Boehm's library would know of the calling thread; gcdune may have attached it on its own. */
static __thread enum { UNKNOWN, KNOWN, REGISTERED, UNREGISTERED } registration;

static bool is_first_thread(void)
{
	return syscall(SYS_gettid) == getpid();
}

static struct started *find(pthread_t thread)
{
	struct started *record = started_list;

	while (record && !pthread_equal(record->id, thread))
		record = record->next;
	return record;
}

static void take(struct started *record)
{
	struct started **place = &started_list;

	while (*place != record)
		place = &(*place)->next;
	*place = record->next;
}

/* In the child, where there are no others; what they were given, or gave, is no longer held. */
void libgc_thread_after_fork(void)
{
	for (struct started *record = started_list; record; record = record->next)
		if (record != started_self)
			record->arg = record->result = NULL;
	started_list = started_self;
	if (started_self)
		started_self->next = NULL;
}

/* Runs however the thread ends. */
static void end(void *arg)
{
	struct started *record = arg;
	bool detached;

	started_self = NULL;
	pthread_mutex_lock(&libgc_lock);
	record->ended = true;
	detached = record->detached;
	if (detached)
		take(record);
	pthread_mutex_unlock(&libgc_lock);
	if (detached)
		gcdune_free(record);
}

static void *run(void *arg)
{
	struct started *record = arg;
	int error = gcdune_thread_attach();

	if (error && error != -EALREADY)
		libgc_fatal("out of memory for a thread");
	registration = KNOWN;
	started_self = record;
	__atomic_store_n(&record->begun, true, __ATOMIC_RELEASE);
	void *result;

	pthread_cleanup_push(end, record);
	record->result = result = record->start(record->arg);
	pthread_cleanup_pop(1); /* the record may be gone */
	return result;
}

int GC_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
	struct started *record;
	int state = PTHREAD_CREATE_JOINABLE;
	int error;

	libgc_init();
	record = gcdune_alloc_kind(sizeof(*record), GCDUNE_KIND_PINNED);
	if (!record)
		return EAGAIN;
	if (attr)
		pthread_attr_getdetachstate(attr, &state);
	record->start = start;
	record->arg = arg;
	record->detached = state == PTHREAD_CREATE_DETACHED;

	/* Held until the record is in the list: the thread may end before this function does. */
	pthread_mutex_lock(&libgc_lock);
	error = pthread_create(thread, attr, run, record); /* *THREAD is there before the thread begins: Crystal's reads it */
	if (!error) {
		record->id = *thread;
		record->next = started_list;
		started_list = record;
	}
	pthread_mutex_unlock(&libgc_lock);
	if (error)
		gcdune_free(record);
	return error;
}

int GC_pthread_join(pthread_t thread, void **result)
{
	void *value = NULL;

	pthread_mutex_lock(&libgc_lock);
	struct started *record = find(thread);

	pthread_mutex_unlock(&libgc_lock);
	int error = pthread_join(thread, &value);

	if (error)
		return error;
	if (result)
		*result = value;
	if (record) {
		pthread_mutex_lock(&libgc_lock);
		take(record);
		pthread_mutex_unlock(&libgc_lock);
		gcdune_free(record);
	}
	return 0;
}

int GC_pthread_detach(pthread_t thread)
{
	struct started *record;
	bool ended = false;
	int error = 0;

	pthread_mutex_lock(&libgc_lock);
	record = find(thread);
	error = pthread_detach(thread);
	if (!error && record) {
		record->detached = true;
		ended = record->ended;
		if (ended)
			take(record);
	}
	pthread_mutex_unlock(&libgc_lock);
	if (ended)
		gcdune_free(record);
	return error;
}

static void *wait_a_moment(void *arg)
{
	usleep(50);
	return arg;
}

static bool is_about_to_begin(pthread_t thread)
{
	pthread_mutex_lock(&libgc_lock);
	struct started *record = find(thread);
	bool about = record && !__atomic_load_n(&record->begun, __ATOMIC_ACQUIRE);

	pthread_mutex_unlock(&libgc_lock);
	return about;
}

/* Where the thread's own state says nothing, a thread is suspended if its record says so: it has ended, and was not joined. One
 * that was just made is waited for: to the program it is there. */
void GC_suspend_thread(GC_SUSPEND_THREAD_ID id)
{
	pthread_t thread = (pthread_t)id;

	libgc_init();
	while (is_about_to_begin(thread))
		gcdune_blocking_call(wait_a_moment, NULL);
	gcdune_thread_suspend(thread);
	if (gcdune_thread_is_suspended(thread))
		return;
	pthread_mutex_lock(&libgc_lock);
	struct started *record = find(thread);

	if (record && record->ended)
		record->suspended = true;
	pthread_mutex_unlock(&libgc_lock);
}

void GC_resume_thread(GC_SUSPEND_THREAD_ID id)
{
	gcdune_thread_resume((pthread_t)id);
	pthread_mutex_lock(&libgc_lock);
	struct started *record = find((pthread_t)id);

	if (record)
		record->suspended = false;
	pthread_mutex_unlock(&libgc_lock);
}

int GC_is_thread_suspended(GC_SUSPEND_THREAD_ID id)
{
	if (gcdune_thread_is_suspended((pthread_t)id))
		return 1;
	pthread_mutex_lock(&libgc_lock);
	struct started *record = find((pthread_t)id);
	bool suspended = record && record->suspended;

	pthread_mutex_unlock(&libgc_lock);
	return suspended;
}

int GC_pthread_cancel(pthread_t thread)
{
	return pthread_cancel(thread);
}

void GC_pthread_exit(void *result)
{
	if (started_self)
		started_self->result = result;
	pthread_exit(result);
}

/* A thread that blocks the signal would never stop. */
int GC_pthread_sigmask(int how, const sigset_t *set, sigset_t *old_set)
{
	sigset_t without;

	if (set && how != SIG_UNBLOCK) {
		without = *set;
		sigdelset(&without, gcdune_signal_get());
		set = &without;
	}
	return pthread_sigmask(how, set, old_set);
}

/* gcdune sees libraries come and go. */
void *GC_dlopen(const char *path, int mode)
{
	return dlopen(path, mode);
}

/* Whether the calling thread's own stack holds ADDRESS. */
static bool on_own_stack(const void *address)
{
	pthread_attr_t attr;
	size_t size = 0;
	void *low = NULL;

	if (pthread_getattr_np(pthread_self(), &attr))
		return true;
	pthread_attr_getstack(&attr, &low, &size);
	pthread_attr_destroy(&attr);
	return (uintptr_t)address - (uintptr_t)low < size;
}

int GC_register_my_thread(const struct GC_stack_base *base)
{
	int error;

	libgc_init();
	if (GC_thread_is_registered())
		return GC_DUPLICATE;
	error = gcdune_thread_attach();
	if (error && error != -EALREADY)
		libgc_fatal("out of memory for a thread");
	/* The whole of the thread's own stack is scanned; a coroutine's stack is one that gcdune cannot know. */
	if (base->mem_base && !on_own_stack((char *)base->mem_base - 1))
		gcdune_thread_stack_end_set(base->mem_base);
	registration = REGISTERED;
	return GC_SUCCESS;
}

int GC_unregister_my_thread(void)
{
	registration = UNREGISTERED;
	gcdune_thread_detach();
	return GC_SUCCESS;
}

int GC_thread_is_registered(void)
{
	if (registration == UNKNOWN && is_first_thread())
		registration = KNOWN;
	return registration == KNOWN || registration == REGISTERED;
}

void GC_allow_register_threads(void)
{
	libgc_init();
}

void GC_start_mark_threads(void)
{
	libgc_init();
}
