/* pages.h - the memory behind the allocator that frees at once: one reservation, cut into pages of 64 KiB (pages.c).
 *
 * A page is described on the side, in a flat table: it holds slots of one size, which one heap gives out (heap.c); or is the
 * first, or a further one, of a large object; or is free. Runs of free pages are kept in bins by the logarithm of their
 * length and joined with their neighbours. All of that is under one lock, which is taken once per 64 KiB.
 *
 * Free pages keep their memory until there are many of them: then it goes back to the kernel. */
#ifndef GCDUNE_MALLOC_PAGES_H
#define GCDUNE_MALLOC_PAGES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SHIFT 16
#define PAGE_BYTES ((size_t)1 << PAGE_SHIFT)

enum page_use { PAGE_NONE, PAGE_FREE, PAGE_SLOTS, PAGE_LARGE };

struct heap;

struct page {
	/* SLOTS: only the owner touches these but for xfree, which is anyone's. */
	void *free;	       /* slots, chained through their first word */
	_Atomic(uint64_t) xfree; /* given back by other threads (heap.c) */
	struct heap *owner;
	uint32_t used; /* slots given out; what is in xfree still counts */
	uint32_t made; /* slots, from the first, that have ever been in `free' */
	uint32_t slots, size;
	uint8_t use, cls;
	uint8_t full;  /* in its heap's list of full pages */
	uint8_t clean; /* in a free run: its memory reads as zero; LARGE: all of the object's did when it was taken */
	uint32_t length; /* LARGE; first and last of a free run: pages in it. SLOTS: in its heap's list of emptied pages (heap.c) */
	/* SLOTS: neighbours in a list of the heap's; FREE: in the bin. */
	struct page *next, *prev;
};
_Static_assert(sizeof(struct page) == 64, "a cache line");

extern uintptr_t pages_base;
extern size_t pages_bytes; /* of the reservation */
extern struct page *pages;

/* Idempotent. False: no address space. */
bool pages_init(void);

static inline bool pages_contain(const void *p)
{
	return (uintptr_t)p - pages_base < pages_bytes;
}

static inline struct page *page_of(const void *p)
{
	return &pages[((uintptr_t)p - pages_base) >> PAGE_SHIFT];
}

static inline char *page_address(const struct page *page)
{
	return (char *)pages_base + ((size_t)(page - pages) << PAGE_SHIFT);
}

/* N pages at a multiple of ALIGN pages; use is still FREE, length N. NULL: no memory. */
struct page *pages_take(size_t n, size_t align);
/* Gives back what page_take gave. */
void pages_give(struct page *page, size_t n);
/* A large object becomes NEW pages long in place. False: something is behind it. */
bool pages_resize(struct page *page, size_t n);
/* Memory of free pages goes back to the kernel, all of it. */
void pages_trim(void);

void pages_lock(void);
void pages_unlock(void);
void pages_after_fork(void);

#endif
