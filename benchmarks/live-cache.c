/* live-cache.c - a cache of small objects that always holds the same amount, with random replacement.
 *
 * An entry is a head and a chain of one to three parts of mixed sizes, all of them scanned. Entries are put at random
 * places, first to fill the cache, then to replace what was there, so that neighbours in the table are far apart in
 * memory and a collector that follows pointers misses the caches at every step. MEBIBYTES counts the bytes that were
 * asked for and are live, without the table.
 *
 * With a RATE, that many replacements a second become due; without one, each follows the one before. What each took is
 * recorded if the driver asks for it (figures.h). With THREADS, each replaces in a part of the cache that is its own, its
 * share of REPLACEMENTS; the first keeps to the RATE and is the one that is recorded.
 *
 * Usage: live-cache [MEBIBYTES [REPLACEMENTS [RATE [THREADS]]]]
 */
#include "backend.h"
#include "figures.h"
#include "program.h"

#include <string.h>

struct cache_part {
	struct cache_part *next;
	uint32_t size;
	uint32_t stamp;
	uint64_t data[];
};

struct cache_entry {
	struct cache_part *parts;
	uint64_t key;
	uint64_t sum;
	uint64_t used;
};

struct cache {
	struct cache_entry **slots;
	uint32_t count;
	uint64_t bytes;
};

enum { CACHE_MAX_THREADS = 64 };

/* What one thread does to its part of the cache. */
struct cache_share {
	struct cache part;
	pthread_t thread;
	long index, replacements;
	uint64_t key, checksum;
};

/* Parts have 32 to 144 bytes in steps of 16. The mean entry, 32 bytes and two parts of 88, decides the number of
 * slots. */
enum { CACHE_PART_MIN = 32, CACHE_PART_STEPS = 8, CACHE_ENTRY_MEAN = 32 + 2 * 88 };

static struct cache_entry *cache_entry_new(struct cache *cache, uint64_t key)
{
	struct cache_entry *entry = backend_alloc(sizeof(*entry));
	uint64_t bits = program_mix(key);
	uint32_t parts = 1 + (uint32_t)(bits % 3);

	*entry = (struct cache_entry){.key = key};
	cache->bytes += sizeof(*entry);
	bits >>= 8;
	for (uint32_t i = 0; i < parts; i++, bits >>= 3) {
		uint32_t size = CACHE_PART_MIN + 16 * (uint32_t)(bits % CACHE_PART_STEPS);
		struct cache_part *part = backend_alloc(size);
		size_t words = (size - sizeof(*part)) / sizeof(uint64_t);

		part->next = entry->parts;
		part->size = size;
		part->stamp = i;
		for (size_t w = 0; w < words; w++)
			part->data[w] = key ^ w;
		entry->sum += part->data[words - 1] + size;
		entry->parts = part;
		cache->bytes += size;
	}
	return entry;
}

static void cache_entry_drop(struct cache *cache, struct cache_entry *entry)
{
	struct cache_part *next;

	for (struct cache_part *part = entry->parts; part; part = next) {
		next = part->next;
		cache->bytes -= part->size;
		backend_free(part);
	}
	cache->bytes -= sizeof(*entry);
	backend_free(entry);
}

/* Whether the entry still holds what was put there. */
static bool cache_entry_intact(const struct cache_entry *entry)
{
	uint64_t sum = 0;

	for (const struct cache_part *part = entry->parts; part; part = part->next)
		sum += part->data[(part->size - sizeof(*part)) / sizeof(uint64_t) - 1] + part->size;
	return sum == entry->sum;
}

/* Static: a collector finds the parts' slots here. */
static struct cache_share cache_shares[CACHE_MAX_THREADS];

static void *cache_replace(void *argument)
{
	struct cache_share *share = argument;
	struct cache *cache = &share->part;
	uint64_t state = 3 + (uint64_t)share->index;

	for (long i = 0; i < share->replacements; i++) {
		if (!share->index)
			figures_operation_begin();

		uint32_t slot = program_random_below(&state, cache->count);
		struct cache_entry *entry = cache->slots[slot];

		if (!cache_entry_intact(entry)) {
			fprintf(stderr, "live-cache: entry %llu is damaged\n", (unsigned long long)entry->key);
			exit(1);
		}
		share->checksum += entry->sum;
		cache_entry_drop(cache, entry);
		cache->slots[slot] = cache_entry_new(cache, share->key + (uint64_t)i);
		if (!share->index)
			figures_operation_end();
	}
	return NULL;
}

int main(int argc, char **argv)
{
	uint64_t target = (uint64_t)program_number(argc, argv, 1, 1024) << 20;
	long replacements = program_number(argc, argv, 2, 1500000);
	long threads = program_number(argc, argv, 4, 1);
	struct cache cache = {.count = (uint32_t)(target / CACHE_ENTRY_MEAN)};
	uint64_t checksum = 0;

	if (threads < 1 || threads > CACHE_MAX_THREADS || cache.count < threads) {
		fprintf(stderr, "usage: live-cache [MEBIBYTES [REPLACEMENTS [RATE [THREADS (1-%d)]]]]\n", CACHE_MAX_THREADS);
		return 2;
	}
	backend_init();
	cache.slots = backend_alloc_zeroed(cache.count * sizeof(struct cache_entry *));

	/* Random order without repetition: an odd stride modulo a power of two, mixed, skipping what is out of range.
	 * */
	uint32_t range = 1;
	while (range < cache.count)
		range *= 2;
	for (uint32_t i = 0; i < range; i++) {
		uint32_t slot = i * 2654435761u & (range - 1);

		slot ^= slot >> 11;
		slot = slot * 2246822519u & (range - 1);
		if (slot < cache.count)
			cache.slots[slot] = cache_entry_new(&cache, i);
	}
	figures_operations((double)program_number(argc, argv, 3, 0));
	for (long i = 0; i < threads; i++) {
		uint32_t from = (uint32_t)(cache.count * i / threads), to = (uint32_t)(cache.count * (i + 1) / threads);

		cache_shares[i] = (struct cache_share){
			.part = {.slots = cache.slots + from, .count = to - from},
			.index = i,
			.replacements = replacements * (i + 1) / threads - replacements * i / threads,
			.key = range + (uint64_t)(replacements * i / threads),
		};
	}
	for (long i = 1; i < threads; i++)
		backend_thread_create(&cache_shares[i].thread, cache_replace, &cache_shares[i]);
	cache_replace(&cache_shares[0]);
	for (long i = 0; i < threads; i++) {
		if (i)
			backend_thread_join(cache_shares[i].thread);
		checksum += cache_shares[i].checksum;
		cache.bytes += cache_shares[i].part.bytes;
	}
	checksum = program_checksum(checksum, cache.bytes);
	for (uint32_t i = 0; i < cache.count; i++) {
		checksum = program_checksum(checksum, cache.slots[i]->sum);
		if (backend_frees)
			cache_entry_drop(&cache, cache.slots[i]);
	}
	backend_free(cache.slots);
	return figures_finish() ? program_finish("live-cache", checksum) : 1;
}
