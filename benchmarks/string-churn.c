/* string-churn.c - text made, joined, split and forgotten: short strings, all without pointers, behind small heads.
 *
 * Lines are made of random words, joined to paragraphs in a buffer that grows, split again, each word turned around
 * and looked up in a table of interned words; of a window of the last paragraphs each is kept for a while.
 *
 * Usage: string-churn [PARAGRAPHS [WINDOW]]
 */
#include "backend.h"
#include "program.h"

#include <string.h>

enum { CHURN_BUCKETS = 4096, CHURN_LINES = 12 };

struct churn_string {
	uint32_t length;
	uint32_t hash;
	char *bytes;
};

struct churn_word {
	struct churn_word *next;
	struct churn_string *string;
	uint64_t uses;
};

struct churn_buffer {
	char *bytes;
	uint32_t length, room;
};

static struct churn_word *churn_table[CHURN_BUCKETS];

static struct churn_string *churn_string(const char *bytes, uint32_t length)
{
	char *copy = backend_alloc_leaf(length + 1);
	struct churn_string *string;
	uint32_t hash = 2166136261u;

	for (uint32_t i = 0; i < length; i++) {
		copy[i] = bytes[i];
		hash = (hash ^ (unsigned char)bytes[i]) * 16777619u;
	}
	copy[length] = '\0';
	string = backend_alloc(sizeof(*string));
	string->length = length;
	string->hash = hash;
	string->bytes = copy;
	return string;
}

static void churn_string_drop(struct churn_string *string)
{
	if (!backend_frees || !string)
		return;
	backend_free(string->bytes);
	backend_free(string);
}

static void churn_append(struct churn_buffer *buffer, const char *bytes, uint32_t length)
{
	while (buffer->length + length > buffer->room) {
		buffer->room = buffer->room ? buffer->room * 2 : 32;
		buffer->bytes =
			buffer->bytes ? backend_realloc(buffer->bytes, buffer->room) : backend_alloc_leaf(buffer->room);
	}
	memcpy(buffer->bytes + buffer->length, bytes, length);
	buffer->length += length;
}

static struct churn_string *churn_line(uint64_t *state)
{
	static const char *const parts[] = {"an", "ber", "co", "dra", "el", "fo", "gri", "ha",
					    "in", "ju",	 "ko", "lum", "mo", "ne", "or",	 "pi"};
	struct churn_buffer line = {0};
	struct churn_string *string;

	for (uint32_t words = 6 + program_random_below(state, 6); words; words--) {
		uint64_t bits = program_random(state) & program_random(state); /* some words more often than others */

		for (uint32_t n = 1 + (uint32_t)(bits & 3); n; n--, bits >>= 4) {
			const char *part = parts[bits >> 2 & 15];

			churn_append(&line, part, (uint32_t)strlen(part));
		}
		churn_append(&line, " ", 1);
	}
	string = churn_string(line.bytes, line.length);
	backend_free(line.bytes);
	return string;
}

/* The interned word that STRING spells; STRING is used up. */
static struct churn_word *churn_intern(struct churn_string *string)
{
	struct churn_word **bucket = &churn_table[string->hash % CHURN_BUCKETS];
	struct churn_word *word;

	for (word = *bucket; word; word = word->next) {
		if (word->string->hash == string->hash && strcmp(word->string->bytes, string->bytes) == 0) {
			churn_string_drop(string);
			word->uses++;
			return word;
		}
	}
	word = backend_alloc(sizeof(*word));
	*word = (struct churn_word){*bucket, string, 1};
	*bucket = word;
	return word;
}

static uint64_t churn_split(const struct churn_string *text)
{
	uint64_t sum = 0;
	uint32_t begin = 0;

	for (uint32_t i = 0; i < text->length; i++) {
		if (text->bytes[i] != ' ')
			continue;
		struct churn_string *word = churn_string(text->bytes + begin, i - begin);
		struct churn_string *turned = churn_string(word->bytes, word->length);

		for (uint32_t k = 0; k < word->length; k++)
			turned->bytes[k] = word->bytes[word->length - 1 - k];
		sum += program_mix((uint64_t)turned->bytes[0] + word->hash);
		churn_string_drop(turned);
		sum += churn_intern(word)->uses;
		begin = i + 1;
	}
	return sum;
}

int main(int argc, char **argv)
{
	long paragraphs = program_number(argc, argv, 1, 40000);
	uint32_t window = (uint32_t)program_number(argc, argv, 2, 4000);
	uint64_t state = 8;
	uint64_t checksum = 0;
	struct churn_string **kept;

	if (window < 1) {
		fprintf(stderr, "usage: string-churn [PARAGRAPHS [WINDOW]]\n");
		return 2;
	}
	backend_init();
	kept = backend_alloc_zeroed(window * sizeof(struct churn_string *));
	for (long i = 0; i < paragraphs; i++) {
		struct churn_buffer buffer = {0};
		uint32_t at = program_random_below(&state, window);

		for (int line = 0; line < CHURN_LINES; line++) {
			struct churn_string *string = churn_line(&state);

			churn_append(&buffer, string->bytes, string->length);
			churn_string_drop(string);
		}
		if (kept[at])
			checksum = program_checksum(checksum, kept[at]->hash);
		churn_string_drop(kept[at]);
		kept[at] = churn_string(buffer.bytes, buffer.length);
		backend_free(buffer.bytes);
		checksum = program_checksum(checksum, churn_split(kept[at]));
	}
	for (uint32_t i = 0; i < window; i++)
		churn_string_drop(kept[i]);
	backend_free(kept);
	for (uint32_t i = 0; i < CHURN_BUCKETS && backend_frees; i++) {
		for (struct churn_word *word = churn_table[i], *next; word; word = next) {
			next = word->next;
			churn_string_drop(word->string);
			backend_free(word);
		}
	}
	return program_finish("string-churn", checksum);
}
