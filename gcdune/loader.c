/* loader.c - the dynamic linker's lock on its list of libraries, held across fork.
 *
 * dl_iterate_phdr takes that lock, and dlopen and dlclose take it where they change the list. libc's fork makes the
 * linker's other locks anew in the child, but not this one: where another thread held it, the child's first
 * dl_iterate_phdr, and so its first collection, would wait for a thread that does not exist. So the forking thread takes
 * it first, and the child gets it free and the list whole.
 *
 * The lock has no name. It is found by what it does: of the words of the linker's data (_rtld_global), those that look
 * like a recursive mutex which this thread holds once more inside dl_iterate_phdr's callback than outside it. It is used
 * only if there is exactly one. Where there is none (another libc; a static program, which loads no libraries) fork is as
 * safe as libc makes it.
 *
 * Order: it before every lock of ours, since a callback of the program's for dl_iterate_phdr may allocate; for heap.cycle,
 * which the program may hold first, see lock.c. Callers: fork.c, lock.c, cycle.c. */
#define _GNU_SOURCE
#include "loader.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <string.h>

#include "os.h"

static pthread_mutex_t *loader_lock;

struct search {
	char *begin;
	size_t size;
	int tid;
	unsigned before[1024]; /* counts of what looked so outside, by word */
	size_t found;
	pthread_mutex_t *mutex;
};

/* How often this thread holds what is at WORD, if that is a recursive mutex. */
__attribute__((no_sanitize("address", "thread"))) static unsigned holds(const struct search *search, size_t word)
{
	const pthread_mutex_t *mutex = (const pthread_mutex_t *)(search->begin + word * sizeof(void *));

	return mutex->__data.__kind == PTHREAD_MUTEX_RECURSIVE_NP && mutex->__data.__lock != 0 &&
			       mutex->__data.__owner == search->tid
		       ? mutex->__data.__count
		       : 0;
}

static size_t words(const struct search *search)
{
	size_t n = (search->size - sizeof(pthread_mutex_t)) / sizeof(void *) + 1;

	return n < sizeof search->before / sizeof *search->before ? n : sizeof search->before / sizeof *search->before;
}

static int look_inside(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct search *search = arg;

	(void)info;
	(void)size;
	for (size_t i = 0; i < words(search); i++)
		if (holds(search, i) == search->before[i] + 1) {
			search->mutex = (pthread_mutex_t *)(search->begin + i * sizeof(void *));
			search->found++;
		}
	return 1;
}

/* When the library is loaded: no lock of ours is held. */
static __attribute__((constructor)) void find(void)
{
	struct search search = {.tid = gcdune_os_tid()};
	const ElfW(Sym) *symbol;
	Dl_info info;

	search.begin = dlsym(RTLD_DEFAULT, "_rtld_global");
	if (!search.begin || !dladdr1(search.begin, &info, (void **)&symbol, RTLD_DL_SYMENT) || !symbol ||
	    info.dli_saddr != search.begin || symbol->st_size < sizeof(pthread_mutex_t))
		return;
	search.size = symbol->st_size;
	for (size_t i = 0; i < words(&search); i++)
		search.before[i] = holds(&search, i);
	dl_iterate_phdr(look_inside, &search);
	if (search.found == 1)
		loader_lock = search.mutex;
}

void gcdune_loader_lock(void)
{
	if (loader_lock)
		pthread_mutex_lock(loader_lock);
}

__attribute__((no_sanitize("thread"))) bool gcdune_loader_held_here(void)
{
	return loader_lock && loader_lock->__data.__owner == gcdune_os_tid();
}

void gcdune_loader_unlock(void)
{
	if (loader_lock)
		pthread_mutex_unlock(loader_lock);
}

/* The child's only thread has another number than its parent's, under which it holds the lock: perhaps more than once,
 * if it forked in a callback of dl_iterate_phdr. */
void gcdune_loader_after_fork(void)
{
	if (!loader_lock)
		return;
	loader_lock->__data.__owner = gcdune_os_tid();
	pthread_mutex_unlock(loader_lock);
}
