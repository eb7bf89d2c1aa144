/* meta.h - memory for the collector's own records (threads, caches, tables), outside the heap and outside malloc
 * (meta.c). Never scanned unless a caller arranges for it. */
#ifndef GCDUNE_META_H
#define GCDUNE_META_H

#include <stddef.h>
#include <stdint.h>

/* Zeroed memory, aligned to 64; NULL when the kernel has none. Critical section, or the world stopped. Sizes up to 256
 * KiB. */
void *gcdune_meta_alloc(size_t size);
void gcdune_meta_free(void *memory, size_t size);
void gcdune_meta_after_fork(void);
void gcdune_meta_lock(void);
void gcdune_meta_unlock(void);

/* A hash table from a non-zero word to three words; entries keep their index until removed. No lock of its own. */
struct gcdune_entry {
	uintptr_t key; /* 0: unused */
	uintptr_t value[3];
	uint32_t next; /* in its bucket, or on the free list; index + 1 */
};

struct gcdune_table {
	struct gcdune_entry *entries;
	uint32_t *buckets;
	uint32_t nbuckets; /* power of two or 0 */
	uint32_t capacity; /* of entries */
	uint32_t used;	   /* entries ever used: the ones to walk */
	uint32_t count;
	uint32_t free; /* index + 1 */
};

/* Makes room for one more. 0 or -ENOMEM. */
int gcdune_table_reserve(struct gcdune_table *table);
struct gcdune_entry *gcdune_table_find(const struct gcdune_table *table, uintptr_t key);
/* KEY is not in the table and there is room. */
struct gcdune_entry *gcdune_table_insert(struct gcdune_table *table, uintptr_t key);
void gcdune_table_remove(struct gcdune_table *table, struct gcdune_entry *entry);
/* The same in two steps, of which the first is short: no one finds the entry, or walks by it, but its index is not used
 * again before the second, which is told the KEY that it had. */
void gcdune_table_hide(struct gcdune_entry *entry);
void gcdune_table_remove_hidden(struct gcdune_table *table, uint32_t index, uintptr_t key);

/* Not even nothing may be added to NULL. */
static inline const struct gcdune_entry *gcdune_table_end(const struct gcdune_table *table)
{
	return table->entries ? table->entries + table->used : NULL;
}

/* Entries may be removed while walking. */
#define GCDUNE_TABLE_EACH(table, entry)                                                                                \
	for (struct gcdune_entry *entry = (table)->entries; entry != gcdune_table_end(table); entry++)                 \
		if (entry->key)

#endif
