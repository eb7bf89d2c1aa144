/* lock.c - the monitor's lock: a futex word, 0 free, 1 held, 2 held and waited for. It works between threads, and
 * between a process and its vfork children, which share the address space. */
#include <linux/futex.h>

#include "monitor.h"

void dune_lock(uint32_t *lock)
{
	uint32_t was = 0;

	if (__atomic_compare_exchange_n(lock, &was, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return;
	while (__atomic_exchange_n(lock, 2, __ATOMIC_ACQUIRE))
		SYS4(futex, lock, FUTEX_WAIT_PRIVATE, 2, NULL);
}

void dune_unlock(uint32_t *lock)
{
	if (__atomic_exchange_n(lock, 0, __ATOMIC_RELEASE) == 2)
		SYS3(futex, lock, FUTEX_WAKE_PRIVATE, 1);
}
