/* hash-map.c - a hash map from strings to values, with churn.
 *
 * Chained buckets; keys are strings in leaf objects, values are small objects of mixed sizes with a pointer back to
 * their entry, so that every entry is a cycle of its own. The table doubles as it fills. Then inserts, removals,
 * updates and lookups at random keep about the same number of entries, each living for a random time.
 *
 * Usage: hash-map [ENTRIES [OPERATIONS]]
 */
#include "backend.h"
#include "program.h"

#include <string.h>

struct map_value {
	struct map_entry *owner;
	uint32_t words;
	uint32_t version;
	uint64_t data[];
};

struct map_entry {
	struct map_entry *next;
	char *key;
	struct map_value *value;
	uint64_t hash;
};

struct map {
	struct map_entry **buckets;
	size_t mask;
	size_t count;
};

static uint64_t map_hash(const char *key)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (; *key; key++)
		hash = (hash ^ (unsigned char)*key) * 0x100000001b3u;
	return program_mix(hash);
}

static struct map_entry **map_find(struct map *map, const char *key, uint64_t hash)
{
	struct map_entry **link = &map->buckets[hash & map->mask];

	while (*link && ((*link)->hash != hash || strcmp((*link)->key, key) != 0))
		link = &(*link)->next;
	return link;
}

static void map_grow(struct map *map)
{
	size_t mask = map->mask * 2 + 1;
	struct map_entry **buckets = backend_alloc_zeroed((mask + 1) * sizeof(struct map_entry *));

	for (size_t i = 0; i <= map->mask; i++) {
		struct map_entry *entry = map->buckets[i];

		while (entry) {
			struct map_entry *next = entry->next;

			entry->next = buckets[entry->hash & mask];
			buckets[entry->hash & mask] = entry;
			entry = next;
		}
	}
	backend_free(map->buckets);
	map->buckets = buckets;
	map->mask = mask;
}

static struct map_value *map_value_new(struct map_entry *owner, uint64_t seed, uint32_t version)
{
	uint32_t words = 1 + (uint32_t)(seed % 12);
	struct map_value *value = backend_alloc(sizeof(*value) + words * sizeof(uint64_t));

	value->owner = owner;
	value->words = words;
	value->version = version;
	for (uint32_t i = 0; i < words; i++)
		value->data[i] = seed + i;
	return value;
}

static void map_insert(struct map *map, const char *key, uint64_t seed)
{
	uint64_t hash = map_hash(key);
	struct map_entry **link = map_find(map, key, hash);

	if (*link) {
		struct map_value *old = (*link)->value;

		(*link)->value = map_value_new(*link, seed, old->version + 1);
		backend_free(old);
		return;
	}

	size_t length = strlen(key) + 1;
	struct map_entry *entry = backend_alloc(sizeof(*entry));

	entry->next = NULL;
	entry->value = NULL;
	entry->hash = hash;
	entry->key = backend_alloc_leaf(length);
	memcpy(entry->key, key, length);
	entry->value = map_value_new(entry, seed, 1);
	*link = entry;
	if (++map->count > map->mask)
		map_grow(map);
}

static void map_remove(struct map *map, const char *key)
{
	struct map_entry **link = map_find(map, key, map_hash(key));
	struct map_entry *entry = *link;

	if (!entry)
		return;
	*link = entry->next;
	map->count--;
	backend_free(entry->value);
	backend_free(entry->key);
	backend_free(entry);
}

static uint64_t map_checksum(const struct map *map)
{
	uint64_t sum = map->count;

	for (size_t i = 0; i <= map->mask; i++) {
		for (const struct map_entry *entry = map->buckets[i]; entry; entry = entry->next) {
			const struct map_value *value = entry->value;

			if (value->owner != entry)
				return 0;
			sum += program_mix(entry->hash + value->version + value->data[value->words - 1]);
		}
	}
	return sum;
}

static void map_drop(struct map *map)
{
	if (!backend_frees)
		return;
	for (size_t i = 0; i <= map->mask; i++) {
		struct map_entry *next;

		for (struct map_entry *entry = map->buckets[i]; entry; entry = next) {
			next = entry->next;
			backend_free(entry->value);
			backend_free(entry->key);
			backend_free(entry);
		}
	}
	backend_free(map->buckets);
	backend_free(map);
}

/* A path-like key for NUMBER; by hand, as printf would take longer than the map. */
static void map_key(char *key, uint32_t number)
{
	static const char digits[] = "0123456789abcdef";

	memcpy(key, "/entry/", 7);
	key += 7;
	for (uint32_t low = number & 1023; low; low >>= 4)
		*key++ = digits[low & 15];
	*key++ = '/';
	for (uint32_t rest = number * 2654435761u; rest; rest >>= 4)
		*key++ = digits[rest & 15];
	*key = '\0';
}

int main(int argc, char **argv)
{
	uint32_t entries = (uint32_t)program_number(argc, argv, 1, 400000);
	long operations = program_number(argc, argv, 2, 3000000);
	uint64_t state = 2;
	uint64_t checksum = 0;
	char key[48];

	backend_init();

	struct map *map = backend_alloc(sizeof(*map));
	map->mask = 15;
	map->count = 0;
	map->buckets = backend_alloc_zeroed((map->mask + 1) * sizeof(struct map_entry *));

	/* Twice as many possible keys as entries: about half of them are present at any time. */
	for (uint32_t i = 0; i < 2 * entries; i += 2) {
		map_key(key, i);
		map_insert(map, key, i);
	}
	for (long i = 0; i < operations; i++) {
		uint64_t choice = program_random(&state);

		map_key(key, program_random_below(&state, 2 * entries));
		switch (choice & 3) {
		case 0:
		case 1:
			map_insert(map, key, choice >> 8);
			break;
		case 2:
			map_remove(map, key);
			break;
		default: {
			struct map_entry *entry = *map_find(map, key, map_hash(key));

			checksum += entry ? entry->value->data[0] : 1;
		}
		}
	}
	checksum = program_checksum(checksum, map_checksum(map));
	map_drop(map);
	return program_finish("hash-map", checksum);
}
