/* meta.c - see meta.h. Owns a few mappings cut into power-of-two pieces, with a free list each, under one lock that is
 * only held for a few instructions. */
#include "meta.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "os.h"

enum { SMALLEST = 6, LARGEST = 18, CHUNK = 1 << LARGEST };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *free_list[LARGEST + 1];
static char *chunk, *chunk_end;

static unsigned order_of(size_t size)
{
	unsigned order = SMALLEST;

	while (((size_t)1 << order) < size)
		order++;
	return order;
}

void *gcdune_meta_alloc(size_t size)
{
	unsigned order = order_of(size);
	size_t rounded = (size_t)1 << order;
	void *memory;

	if (order > LARGEST)
		return NULL;
	pthread_mutex_lock(&lock);
	memory = free_list[order];
	if (memory) {
		memcpy(&free_list[order], memory, sizeof(void *));
	} else {
		if ((size_t)(chunk_end - chunk) < rounded) {
			/* What is left of the old chunk is given up: at most a quarter MiB in all that is ever mapped.
			 */
			char *fresh = gcdune_os_map(CHUNK);

			if (fresh) {
				chunk = fresh;
				chunk_end = fresh + CHUNK;
			}
		}
		if ((size_t)(chunk_end - chunk) >= rounded) {
			memory = chunk;
			chunk += rounded;
		}
	}
	pthread_mutex_unlock(&lock);
	if (memory)
		memset(memory, 0, rounded);
	return memory;
}

void gcdune_meta_free(void *memory, size_t size)
{
	unsigned order = order_of(size);

	if (!memory)
		return;
	pthread_mutex_lock(&lock);
	memcpy(memory, &free_list[order], sizeof(void *));
	free_list[order] = memory;
	pthread_mutex_unlock(&lock);
}

void gcdune_meta_lock(void)
{
	pthread_mutex_lock(&lock);
}

void gcdune_meta_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

void gcdune_meta_after_fork(void)
{
	pthread_mutex_init(&lock, NULL);
}

/* ---- Tables ---- */

/* Keys are addresses, and those of one page are likely to be asked for one after the other: their buckets are neighbours. Pages
 * lie anywhere, so that objects a page apart do not meet. */
static uint32_t bucket_of(const struct gcdune_table *table, uintptr_t key)
{
	return ((uint32_t)((key >> 12) * 0x9e3779b97f4a7c15u >> 32) + (uint32_t)(key >> 4)) & (table->nbuckets - 1);
}

/* Others may ask how many there are, without a lock. */
static void count_add(struct gcdune_table *table, int n)
{
	__atomic_store_n(&table->count, table->count + (uint32_t)n, __ATOMIC_RELAXED);
}

static int rehash(struct gcdune_table *table)
{
	uint32_t n = table->nbuckets ? table->nbuckets * 2 : 1024;
	uint32_t *buckets = gcdune_os_map(n * sizeof *buckets);

	if (!buckets)
		return -ENOMEM;
	gcdune_os_unmap(table->buckets, table->nbuckets * sizeof *buckets);
	table->buckets = buckets;
	table->nbuckets = n;
	GCDUNE_TABLE_EACH(table, entry)
	{
		uint32_t bucket = bucket_of(table, entry->key);

		entry->next = buckets[bucket];
		buckets[bucket] = (uint32_t)(entry - table->entries) + 1;
	}
	return 0;
}

int gcdune_table_reserve(struct gcdune_table *table)
{
	if (!table->free && table->used == table->capacity) {
		uint32_t capacity = table->capacity ? table->capacity * 2 : 512;
		void *entries = gcdune_os_remap(table->entries, table->capacity * sizeof *table->entries,
						capacity * sizeof *table->entries);

		if (!entries)
			return -ENOMEM;
		table->entries = entries;
		table->capacity = capacity;
	}
	/* Most buckets are empty, so that most keys that are not there are not looked for in an entry: of large tables each is a
	 * cache miss. A table that cannot grow its buckets gets slower, no more. */
	if (table->count >= table->nbuckets / 2 && rehash(table) && !table->nbuckets)
		return -ENOMEM;
	return 0;
}

struct gcdune_entry *gcdune_table_find(const struct gcdune_table *table, uintptr_t key)
{
	if (!table->count)
		return NULL;
	for (uint32_t i = table->buckets[bucket_of(table, key)]; i; i = table->entries[i - 1].next)
		if (table->entries[i - 1].key == key)
			return &table->entries[i - 1];
	return NULL;
}

struct gcdune_entry *gcdune_table_insert(struct gcdune_table *table, uintptr_t key)
{
	uint32_t bucket = bucket_of(table, key);
	uint32_t index = table->free;

	if (index)
		table->free = table->entries[index - 1].next;
	else
		index = ++table->used;
	struct gcdune_entry *entry = &table->entries[index - 1];

	*entry = (struct gcdune_entry){.key = key, .next = table->buckets[bucket]};
	table->buckets[bucket] = index;
	count_add(table, 1);
	return entry;
}

void gcdune_table_remove(struct gcdune_table *table, struct gcdune_entry *entry)
{
	uintptr_t key = entry->key;

	gcdune_table_hide(entry);
	gcdune_table_remove_hidden(table, (uint32_t)(entry - table->entries), key);
}

void gcdune_table_hide(struct gcdune_entry *entry)
{
	entry->key = 0;
}

void gcdune_table_remove_hidden(struct gcdune_table *table, uint32_t index, uintptr_t key)
{
	struct gcdune_entry *entry = &table->entries[index];
	uint32_t *link = &table->buckets[bucket_of(table, key)];

	/* The buckets may have been made anew meanwhile, without it. */
	while (*link && *link != index + 1)
		link = &table->entries[*link - 1].next;
	if (*link)
		*link = entry->next;
	*entry = (struct gcdune_entry){.next = table->free};
	table->free = index + 1;
	count_add(table, -1);
}
