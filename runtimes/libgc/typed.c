/* typed.c - gc_typed.h: descriptors made from bitmaps, and objects that are scanned by them.
 *
 * A descriptor is a mark descriptor as gc_mark.h describes it, since programs also put them into objects and kinds: for up
 * to 62 words the bitmap itself, beyond that a mark procedure whose environment is the address of a struct
 * libgc_bitmap. For allocation it becomes a gcdune layout; the table below remembers which. Its entries are never
 * removed, so it is read without a lock.
 *
 * A descriptor that is not a layout (the program's own mark procedure) is stored in the last word of the object, where
 * the kind libgc_described_kind finds it. */
#include "libgc.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SMALL_WORDS (GC_WORDSZ - GC_DS_TAG_BITS)
#define BUCKETS 256

struct libgc_bitmap {
	gcdune_layout layout;
	size_t nwords;
	uint64_t bits[];
};

struct libgc_layout {
	struct libgc_layout *next;
	GC_descr descr;
	gcdune_layout layout;
};

static _Atomic(struct libgc_layout *) libgc_layouts[BUCKETS];
static atomic_uint libgc_described_kind;

static bool bit(const GC_word *bitmap, size_t index)
{
	return GC_get_bit(bitmap, index);
}

static GC_descr descr_of_bitmap(const struct libgc_bitmap *bitmap)
{
	return GC_MAKE_PROC(LIBGC_PROC_TYPED, (GC_word)bitmap);
}

static const struct libgc_bitmap *bitmap_of_descr(GC_descr d)
{
	if ((d & ((GC_word)(GC_MAX_MARK_PROCS - 1) << GC_DS_TAG_BITS | GC_DS_TAGS)) != GC_MAKE_PROC(LIBGC_PROC_TYPED, 0))
		return NULL;
	return (const struct libgc_bitmap *)(d >> (GC_DS_TAG_BITS + GC_LOG_MAX_MARK_PROCS));
}

struct GC_ms_entry *libgc_typed_proc(GC_word *object, struct GC_ms_entry *top, struct GC_ms_entry *limit, GC_word env)
{
	const struct libgc_bitmap *bitmap = (const struct libgc_bitmap *)env;

	for (size_t i = 0; i < bitmap->nwords; i++)
		if (bit(bitmap->bits, i))
			top = GC_mark_and_push((void *)object[i], top, limit, NULL);
	return top;
}

static GC_descr make_large(const GC_word *bits, size_t len)
{
	size_t words = (len + GC_WORDSZ - 1) / GC_WORDSZ;
	struct libgc_bitmap *bitmap = malloc(sizeof(*bitmap) + words * sizeof(uint64_t));

	if (!bitmap)
		return len * sizeof(GC_word); /* every word that may hold a pointer, and some that do not */
	memcpy(bitmap->bits, bits, words * sizeof(uint64_t));
	bitmap->nwords = len;
	bitmap->layout = gcdune_layout_make(bitmap->bits, len);
	return descr_of_bitmap(bitmap);
}

GC_descr GC_make_descriptor(const GC_word *bits, size_t len)
{
	GC_descr d = 0;
	size_t set = 0;

	libgc_init();
	while (len > 0 && !bit(bits, len - 1))
		len--;
	for (size_t i = 0; i < len; i++)
		set += bit(bits, i);
	if (set == len)
		return len * sizeof(GC_word) | GC_DS_LENGTH;
	if (len > SMALL_WORDS)
		return make_large(bits, len);
	for (size_t i = 0; i < len; i++)
		if (bit(bits, i))
			d |= (GC_word)1 << (GC_WORDSZ - 1 - i);
	return d | GC_DS_BITMAP;
}

static gcdune_layout make_layout(GC_descr d)
{
	uint64_t bits = 0;

	if ((d & GC_DS_TAGS) == GC_DS_BITMAP) {
		for (size_t i = 0; i < SMALL_WORDS; i++)
			bits |= (uint64_t)(d >> (GC_WORDSZ - 1 - i) & 1) << i;
		return gcdune_layout_make(&bits, SMALL_WORDS);
	}

	/* A prefix, which may be longer than one word of bits. */
	size_t nwords = d / sizeof(GC_word);
	size_t bytes = (nwords + 63) / 64 * sizeof(uint64_t);
	uint64_t *prefix = malloc(bytes);
	gcdune_layout layout;

	if (!prefix)
		return 0;
	memset(prefix, 0xff, bytes);
	layout = gcdune_layout_make(prefix, nwords);
	free(prefix);
	return layout;
}

/* The layout for D, of type LENGTH (not 0) or BITMAP. 0, every word, is always right too. */
static gcdune_layout layout_of(GC_descr d)
{
	_Atomic(struct libgc_layout *) *bucket = &libgc_layouts[(d * 0x9e3779b97f4a7c15) >> 56];
	struct libgc_layout *entry;

	for (entry = atomic_load_explicit(bucket, memory_order_acquire); entry; entry = entry->next)
		if (entry->descr == d)
			return entry->layout;
	entry = malloc(sizeof(*entry));
	if (!entry)
		return 0;
	entry->descr = d;
	entry->layout = make_layout(d);
	entry->next = atomic_load_explicit(bucket, memory_order_relaxed);
	while (!atomic_compare_exchange_weak(bucket, &entry->next, entry))
		;
	return entry->layout;
}

/* The last word of an object of usable size SIZE. */
static GC_descr *descr_place(void *object, size_t size)
{
	return (GC_descr *)object + size / sizeof(GC_descr) - 1;
}

static void mark_described(void *object, size_t size, void *arg, struct gcdune_marker *marker)
{
	GC_descr *place = descr_place(object, size);

	(void)arg;
	libgc_mark_by_descr(object, (size_t)((char *)place - (char *)object), *place, marker);
}

static void *alloc_described(size_t size, GC_descr d)
{
	unsigned kind = atomic_load(&libgc_described_kind);
	void *object;

	if (!kind) {
		/* Of two threads that come here at once, one makes a kind that is never used. */
		int made = gcdune_kind_new(mark_described, NULL);

		if (made < 0)
			libgc_fatal("too many kinds of objects");
		if (atomic_compare_exchange_strong(&libgc_described_kind, &kind, (unsigned)made))
			kind = (unsigned)made;
	}
	if (__builtin_add_overflow(size, sizeof(GC_descr), &size))
		return NULL;
	object = gcdune_alloc_kind(size, kind);
	if (object)
		*descr_place(object, gcdune_size(object)) = d;
	return object;
}

void *GC_malloc_explicitly_typed(size_t size, GC_descr d)
{
	const struct libgc_bitmap *bitmap = bitmap_of_descr(d);

	if (bitmap)
		return gcdune_alloc_typed(size, bitmap->layout);
	switch (d & GC_DS_TAGS) {
	case GC_DS_LENGTH:
		if (d >= (size & ~(sizeof(GC_word) - 1)) && d)
			return gcdune_alloc(size);
		if (!d) {
			void *object = gcdune_alloc_leaf(size);

			return object ? memset(object, 0, size) : NULL;
		}
		return gcdune_alloc_typed(size, layout_of(d));
	case GC_DS_BITMAP:
		return gcdune_alloc_typed(size, layout_of(d));
	default:
		return alloc_described(size, d);
	}
}

void *GC_malloc_explicitly_typed_ignore_off_page(size_t size, GC_descr d)
{
	return GC_malloc_explicitly_typed(size, d);
}

void *GC_calloc_explicitly_typed(size_t count, size_t size, GC_descr d)
{
	const struct libgc_bitmap *bitmap = bitmap_of_descr(d);
	size_t total;

	if (__builtin_mul_overflow(count, size, &total)) {
		errno = ENOMEM;
		return GC_get_oom_fn()(SIZE_MAX);
	}
	if (count <= 1 || d == 0)
		return GC_malloc_explicitly_typed(total, d);
	if (bitmap && size % sizeof(GC_word) == 0)
		return gcdune_alloc_typed_array(count, size, bitmap->layout);
	/* Scanned whole: what only a mark procedure understands, elements of pointers only, odd sizes. */
	if ((d & GC_DS_TAGS) > GC_DS_BITMAP || ((d & GC_DS_TAGS) == GC_DS_LENGTH && d >= size) || size % sizeof(GC_word))
		return gcdune_alloc(total);
	return gcdune_alloc_typed_array(count, size, layout_of(d));
}
