/* heap.c - owns the threads' heaps: per size class the pages that a thread allocates from.
 *
 * Only its owner takes slots from a page, and puts back what it frees itself, with plain loads and stores. Another thread
 * that frees a slot pushes it onto the page's `xfree' (a stack that is only ever emptied whole, so there is no ABA); the
 * owner takes these over when it finds the page empty. (Free lists per page are Leijen, Zorn and de Moura's: "Mimalloc",
 * 2019.)
 *
 * A page of a heap is the open one of its class, or in the list of those that may have room, or in the list of full ones.
 * Full pages are looked through for slots that other threads gave back, a few at a time, before a new page is taken. A page
 * all of whose slots other threads gave back is said to its owner, in a list of such pages (`emptied'), and the owner gives it
 * back whole, whatever class it needs next: else memory that was used for objects of one size would never serve for others.
 *
 * Who pushes a page there is decided by the count in `xfree': the one thread that made it as many as the page has slots. From
 * then on nobody frees there, since nothing is left to free, and the owner does not touch the page (`collect' goes by the same
 * count) until it finds it in the list: so it is in there once, and cannot be given back before the push is over. The owner
 * takes the list whole.
 *
 * A heap outlives its thread: it waits in a list for the next one. Objects in it can be freed meanwhile, as from any other
 * thread. In the child of a fork the heaps of threads that are gone are in whatever state these left them: objects there can
 * be freed, but nothing is taken from them any more. */
#include "heap.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "os.h"
#include "pages.h"

#define SMALL_MAX ((size_t)32768)
#define CLASSES 44 /* 0: 8 bytes; 1..8: multiples of 16; then four per doubling */
#define FULL_LOOK 16
#define MAKE_BYTES 4096 /* slots are made this much at a time, so that a page is touched as it is used */
#define MAKE_MAX 512	/* larger ones are not made but cut off one by one: only the program touches them, if it does */

struct heap {
	struct page *open[CLASSES];
	struct page *room[CLASSES], *full[CLASSES];
	struct heap *next; /* without a thread */
	/* The last page that other threads emptied, by its number in the table, from 1; `length' there is the one before. Others
	 * write here. */
	_Alignas(64) _Atomic(uint32_t) emptied;
};

/* What a thread without a heap finds: nothing. */
static struct page page_none;
static struct heap heap_none = {.open = {[0 ... CLASSES - 1] = &page_none}};

static __thread struct heap *self __attribute__((tls_model("initial-exec"))) = &heap_none;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct heap *idle;
static char *heaps_next, *heaps_end; /* where new ones are cut from */
static pthread_key_t exit_key;
static bool exit_key_made;

/* ---- Classes ---- */

static inline unsigned class_of(size_t size)
{
	if (size <= 128)
		return size <= 8 ? 0 : (unsigned)((size + 15) / 16);
	unsigned top = 63 - (unsigned)__builtin_clzll(size - 1); /* 2^top < size <= 2^(top+1) */

	return 8 + (top - 7) * 4 + (unsigned)(((size - 1) >> (top - 2)) & 3) + 1;
}

/* The same for up to TABLE_MAX bytes, in units of 8. */
#define TABLE_MAX 1024
static const uint8_t class_table[TABLE_MAX / 8 + 1] = {
	0,  0,  1,  2,  2,  3,  3,  4,  4,  5,  5,  6,  6,  7,  7,  8,  8,  9,  9,  9,  9,  10,
	10, 10, 10, 11, 11, 11, 11, 12, 12, 12, 12, 13, 13, 13, 13, 13, 13, 13, 13, 14, 14, 14,
	14, 14, 14, 14, 14, 15, 15, 15, 15, 15, 15, 15, 15, 16, 16, 16, 16, 16, 16, 16, 16, 17,
	17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 18, 18, 18, 18, 18, 18, 18,
	18, 18, 18, 18, 18, 18, 18, 18, 18, 19, 19, 19, 19, 19, 19, 19, 19, 19, 19, 19, 19, 19,
	19, 19, 19, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20,
};

static inline size_t class_size(unsigned cls)
{
	if (cls == 0)
		return 8;
	return cls <= 8 ? cls * 16 : (size_t)(4 + ((cls - 1) & 3) + 1) << (7 + (cls - 9) / 4 - 2);
}

/* ---- Lists of pages ---- */

/* Both are rings: full pages are looked through a part at a time, and what has room waits its turn at the end, so that more of
 * its slots come back meanwhile than the one that made it come here. */
static void ring_add(struct page **ring, struct page *page)
{
	struct page *head = *ring;

	if (head) {
		page->next = head;
		page->prev = head->prev;
		head->prev->next = page;
		head->prev = page;
	} else {
		*ring = page->next = page->prev = page;
	}
}

static void ring_remove(struct page **ring, struct page *page)
{
	page->prev->next = page->next;
	page->next->prev = page->prev;
	if (*ring == page)
		*ring = page->next == page ? NULL : page->next;
}

static void full_add(struct heap *heap, struct page *page)
{
	page->full = 1;
	ring_add(&heap->full[page->cls], page);
}

static void full_remove(struct heap *heap, struct page *page)
{
	page->full = 0;
	ring_remove(&heap->full[page->cls], page);
}

/* ---- Heaps and threads ---- */

static void thread_exit(void *rounds);

static struct heap *heap_new(void)
{
	if (heaps_next == heaps_end) {
		size_t size = 16 * sizeof(struct heap);

		heaps_next = gcdune_os_map((size + 4095) & ~(size_t)4095);
		if (!heaps_next) {
			heaps_end = NULL;
			return NULL;
		}
		heaps_end = heaps_next + size;
	}
	struct heap *heap = (struct heap *)(void *)heaps_next;

	heaps_next += sizeof *heap;
	for (unsigned cls = 0; cls < CLASSES; cls++)
		heap->open[cls] = &page_none;
	return heap;
}

/* Gives the calling thread a heap. */
static __attribute__((noinline)) bool heap_get(void)
{
	struct heap *heap;

	if (!pages_init())
		return false;
	pthread_mutex_lock(&lock);
	heap = idle;
	if (heap)
		idle = heap->next;
	else
		heap = heap_new();
	if (!exit_key_made)
		exit_key_made = pthread_key_create(&exit_key, thread_exit) == 0;
	pthread_mutex_unlock(&lock);
	if (!heap)
		return false;
	self = heap;
	/* A low key: libc stores its value without allocating. */
	if (exit_key_made)
		pthread_setspecific(exit_key, (void *)3);
	return true;
}

static void collect(struct page *page);
static void release_empty(struct heap *heap, unsigned cls);

/* Destructors of other keys may still allocate: the value counts the rounds. */
static void thread_exit(void *rounds)
{
	uintptr_t left = (uintptr_t)rounds - 1;
	struct heap *heap = self;

	if (left && pthread_setspecific(exit_key, (void *)left) == 0)
		return;
	if (heap == &heap_none)
		return;
	for (unsigned cls = 0; cls < CLASSES; cls++) {
		release_empty(heap, cls);
		if (heap->open[cls] != &page_none) {
			collect(heap->open[cls]);
			if (heap->open[cls]->used == 0) {
				pages_give(heap->open[cls], 1);
				heap->open[cls] = &page_none;
			}
		}
	}
	self = &heap_none;
	pthread_mutex_lock(&lock);
	heap->next = idle;
	idle = heap;
	pthread_mutex_unlock(&lock);
}

/* ---- Allocation ---- */

/* `xfree' is the address of its first slot, and above it how many slots there are: so they are counted without a look at each,
 * which would be a cache miss. */
#define XFREE_ONE ((uint64_t)1 << 48)

static inline void *xfree_first(uint64_t xfree)
{
	return (void *)(uintptr_t)(xfree & (XFREE_ONE - 1));
}

/* Takes over what other threads gave back; but an emptied page comes by the list. */
static void collect(struct page *page)
{
	uint64_t xfree = atomic_load_explicit(&page->xfree, memory_order_relaxed);

	do {
		if (!xfree || xfree >> 48 == page->slots)
			return;
	} while (!atomic_compare_exchange_weak_explicit(&page->xfree, &xfree, 0, memory_order_acquire, memory_order_relaxed));
	void *list = xfree_first(xfree), *last = list;

	if (page->free) {
		while (*(void **)last)
			last = *(void **)last;
		*(void **)last = page->free;
	}
	page->free = list;
	page->used -= (uint32_t)(xfree >> 48);
}

static void push_emptied(struct heap *heap, struct page *page)
{
	uint32_t head = atomic_load_explicit(&heap->emptied, memory_order_relaxed), number = (uint32_t)(page - pages) + 1;

	do
		page->length = head;
	while (!atomic_compare_exchange_weak_explicit(&heap->emptied, &head, number, memory_order_release, memory_order_relaxed));
}

static __attribute__((noinline)) void take_emptied(struct heap *heap)
{
	uint32_t number = atomic_exchange_explicit(&heap->emptied, 0, memory_order_acquire);

	while (number) {
		struct page *page = &pages[number - 1];

		number = page->length;
		atomic_exchange_explicit(&page->xfree, 0, memory_order_acquire);
		page->free = NULL;
		page->used = page->made = 0;
		if (page == heap->open[page->cls])
			continue;
		full_remove(heap, page);
		if (heap->room[page->cls])
			pages_give(page, 1);
		else
			ring_add(&heap->room[page->cls], page);
	}
}

static inline void look_emptied(struct heap *heap)
{
	if (__builtin_expect(atomic_load_explicit(&heap->emptied, memory_order_relaxed) != 0, 0))
		take_emptied(heap);
}

static void release_empty(struct heap *heap, unsigned cls)
{
	look_emptied(heap);
	for (struct page *page = heap->full[cls], *last = page ? page->prev : NULL, *next; page; page = next) {
		next = page == last ? NULL : page->next;
		collect(page);
		if (!page->free)
			continue;
		full_remove(heap, page);
		ring_add(&heap->room[cls], page);
	}
	for (struct page *page = heap->room[cls], *last = page ? page->prev : NULL, *next; page; page = next) {
		next = page == last ? NULL : page->next;
		collect(page);
		if (page->used)
			continue;
		ring_remove(&heap->room[cls], page);
		pages_give(page, 1);
	}
}

/* Makes more slots of a page, in the order of addresses. */
static void make_slots(struct page *page)
{
	uint32_t n = (uint32_t)(MAKE_BYTES / page->size);
	char *slot = page_address(page) + (size_t)page->made * page->size;

	if (n == 0)
		n = 1;
	if (n > page->slots - page->made)
		n = page->slots - page->made;
	page->free = slot;
	for (uint32_t i = 1; i < n; i++, slot += page->size)
		*(void **)slot = slot + page->size;
	*(void **)slot = NULL;
	page->made += n;
}

/* A page of the class that has a free slot, or can make one, becomes the open one. */
static bool open_page(struct heap *heap, unsigned cls)
{
	struct page *page;

	look_emptied(heap);
	page = heap->open[cls];
	if (page != &page_none) {
		collect(page);
		if (page->free || page->made < page->slots)
			return true;
		full_add(heap, page);
		heap->open[cls] = &page_none;
	}
	/* Others may have given back slots of full pages. */
	for (unsigned i = 0; i < FULL_LOOK && heap->full[cls] && !heap->room[cls]; i++) {
		struct page *look = heap->full[cls];

		collect(look);
		if (look->free) {
			full_remove(heap, look);
			ring_add(&heap->room[cls], look);
		} else {
			heap->full[cls] = look->next;
		}
	}
	page = heap->room[cls];
	if (page) {
		ring_remove(&heap->room[cls], page);
	} else {
		page = pages_take(1, 1);
		if (!page)
			return false;
		size_t size = class_size(cls);

		page->use = PAGE_SLOTS;
		page->owner = heap;
		page->cls = (uint8_t)cls;
		page->size = (uint32_t)size;
		page->slots = (uint32_t)(PAGE_BYTES / size);
		page->free = NULL;
		atomic_store_explicit(&page->xfree, 0, memory_order_relaxed);
		page->used = page->made = 0;
		page->full = 0;
	}
	heap->open[cls] = page;
	return true;
}

static void *no_memory(void)
{
	errno = ENOMEM;
	return NULL;
}

static __attribute__((noinline)) void *alloc_slow(unsigned cls)
{
	if (self == &heap_none && !heap_get())
		return no_memory();
	struct heap *heap = self;

	if (!open_page(heap, cls))
		return no_memory();
	struct page *page = heap->open[cls];

	if (!page->free && page->size <= MAKE_MAX)
		make_slots(page);
	void *object = page->free;

	if (object)
		page->free = *(void **)object;
	else
		object = page_address(page) + (size_t)page->made++ * page->size;
	page->used++;
	return object;
}

static inline void *alloc_small(unsigned cls)
{
	struct page *page = self->open[cls];
	void *object = page->free;

	if (__builtin_expect(object != NULL, 1)) {
		page->free = *(void **)object;
		page->used++;
		return object;
	}
	return alloc_slow(cls);
}

static struct page *alloc_large(size_t size, size_t align)
{
	if (size > PTRDIFF_MAX || !pages_init())
		return no_memory();
	if (self != &heap_none)
		look_emptied(self);
	struct page *page = pages_take((size + PAGE_BYTES - 1) >> PAGE_SHIFT, align);

	if (!page)
		return no_memory();
	page->use = PAGE_LARGE;
	return page;
}

void *heap_alloc(size_t size)
{
	if (__builtin_expect(size <= TABLE_MAX, 1))
		return alloc_small(class_table[(size + 7) / 8]);
	if (size <= SMALL_MAX)
		return alloc_small(class_of(size));
	struct page *page = alloc_large(size, 1);

	return page ? page_address(page) : NULL;
}

void *heap_zalloc(size_t size)
{
	if (size <= SMALL_MAX) {
		void *object = alloc_small(class_of(size));

		return object ? memset(object, 0, size) : NULL;
	}
	struct page *page = alloc_large(size, 1);

	if (!page)
		return NULL;
	return page->clean ? page_address(page) : memset(page_address(page), 0, size);
}

/* Pages begin at multiples of 64 KiB, so a slot is aligned to what divides its size. */
void *heap_aligned(size_t size, size_t alignment)
{
	if (size < alignment)
		size = alignment;
	if (size <= SMALL_MAX) {
		unsigned cls = class_of(size);

		while (cls < CLASSES - 1 && class_size(cls) & (alignment - 1))
			cls++;
		if (class_size(cls) <= SMALL_MAX && !(class_size(cls) & (alignment - 1)))
			return alloc_small(cls);
	}
	struct page *page = alloc_large(size, alignment > PAGE_BYTES ? alignment >> PAGE_SHIFT : 1);

	/* What is aligned is the address, not the number of the page. */
	if (page && (uintptr_t)page_address(page) & (alignment - 1)) {
		pages_give(page, page->length);
		page = alloc_large(size + alignment, 1);
		if (!page)
			return NULL;
		size_t before = ((alignment - ((uintptr_t)page_address(page) & (alignment - 1))) & (alignment - 1)) >> PAGE_SHIFT;
		size_t length = page->length, n = (size + PAGE_BYTES - 1) >> PAGE_SHIFT;
		struct page *first = page + before;

		first->clean = page->clean;
		first->length = (uint32_t)n;
		first->use = PAGE_LARGE;
		if (before)
			pages_give(page, before);
		if (length > before + n)
			pages_give(first + n, length - before - n);
		page = first;
	}
	return page ? page_address(page) : NULL;
}

/* ---- Freeing ---- */

/* The page has become empty, or was full and is not any more. */
static __attribute__((noinline)) void freed_slow(struct page *page)
{
	struct heap *heap = page->owner;
	unsigned cls = page->cls;

	if (page->full) {
		full_remove(heap, page);
		ring_add(&heap->room[cls], page);
	}
	/* One that is not the only one with room is not worth keeping. */
	if (page->used || page == heap->open[cls] || (heap->room[cls] == page && page->next == page))
		return;
	ring_remove(&heap->room[cls], page);
	pages_give(page, 1);
}

void heap_free(void *object)
{
	struct page *page = page_of(object);

	if (__builtin_expect(page->owner == self && page->use == PAGE_SLOTS, 1)) {
		*(void **)object = page->free;
		page->free = object;
		if (__builtin_expect(--page->used == 0 || page->full, 0))
			freed_slow(page);
	} else if (page->use == PAGE_SLOTS) {
		/* Once the slot is given back, the page may be another's. */
		struct heap *owner = page->owner;
		uint64_t head = atomic_load_explicit(&page->xfree, memory_order_relaxed), slots = page->slots, now;

		do {
			*(void **)object = xfree_first(head);
			now = (head - (uintptr_t)xfree_first(head) + XFREE_ONE) | (uintptr_t)object;
		} while (!atomic_compare_exchange_weak_explicit(&page->xfree, &head, now, memory_order_release,
								memory_order_relaxed));
		if (__builtin_expect(now >> 48 == slots, 0))
			push_emptied(owner, page);
	} else if (page->use == PAGE_LARGE && page_address(page) == object) {
		pages_give(page, page->length);
	} else {
		gcdune_panic("free(%p): not the address of an object (freed twice, or not from malloc)", object);
	}
}

size_t heap_size(const void *object)
{
	const struct page *page = page_of(object);

	return page->use == PAGE_SLOTS ? page->size : page->use == PAGE_LARGE ? page->length * PAGE_BYTES : 0;
}

void *heap_realloc(void *object, size_t size)
{
	size_t old = heap_size(object);

	if (size <= old && (size > old / 2 || old <= 64))
		return object;
	if (old > SMALL_MAX && size > SMALL_MAX && size <= PTRDIFF_MAX &&
	    pages_resize(page_of(object), (size + PAGE_BYTES - 1) >> PAGE_SHIFT))
		return object;
	/* So that appending does not copy each time. */
	void *moved = heap_alloc(old > SMALL_MAX && size > old && size < old + old / 8 ? old + old / 8 : size);

	if (!moved)
		return NULL;
	memcpy(moved, object, old < size ? old : size);
	heap_free(object);
	return moved;
}

void heap_trim(void)
{
	for (unsigned cls = 0; self != &heap_none && cls < CLASSES; cls++)
		release_empty(self, cls);
	if (pages_bytes)
		pages_trim();
}

/* ---- fork ---- */

static void prepare(void)
{
	pthread_mutex_lock(&lock);
	pages_lock();
}

static void parent(void)
{
	pages_unlock();
	pthread_mutex_unlock(&lock);
}

static void child(void)
{
	pages_after_fork();
	pthread_mutex_init(&lock, NULL);
}

static __attribute__((constructor)) void watch_fork(void)
{
	pthread_atfork(prepare, parent, child);
}
