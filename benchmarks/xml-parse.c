/* xml-parse.c - parses a large real XML file with expat on the back end's allocator into a tree of our own.
 *
 * Two programs' memory in one heap: expat's own structures, allocated through its memory handlers (scanned by a
 * collector, since they hold its pointers), and the document tree: elements, attributes and text. The last few
 * documents stay alive as a program that edits documents would keep them; older ones are dropped.
 *
 * Usage: xml-parse [FILE [ROUNDS]]
 */
#include "backend.h"
#include "program.h"

#include <expat.h>
#include <string.h>

enum { XML_KEPT = 4, XML_CHUNK = 64 * 1024 };

struct xml_attribute {
	struct xml_attribute *next;
	char *name;
	char *value;
};

struct xml_text {
	struct xml_text *next;
	char *bytes;
	size_t length;
};

struct xml_element {
	struct xml_element *parent;
	struct xml_element *next;
	struct xml_element *first;
	struct xml_element *last;
	struct xml_attribute *attributes;
	struct xml_text *text;
	char *name;
};

/* Lives on the stack of xml_parse, so collectors see what it points to. */
struct xml_builder {
	struct xml_element *root;
	struct xml_element *current;
};

/* File contents, shared by all rounds; holds no pointers. */
static char *xml_file;
static size_t xml_file_size;
static struct xml_element *xml_kept[XML_KEPT];

static void *xml_malloc(size_t size)
{
	return backend_alloc(size);
}

static void *xml_realloc(void *object, size_t size)
{
	return backend_realloc(object, size);
}

static void xml_free(void *object)
{
	backend_free(object);
}

static char *xml_copy(const char *bytes, size_t length)
{
	char *copy = backend_alloc_leaf(length + 1);

	memcpy(copy, bytes, length);
	copy[length] = '\0';
	return copy;
}

static void xml_on_start(void *data, const char *name, const char **attributes)
{
	struct xml_builder *builder = data;
	struct xml_element *parent = builder->current;
	struct xml_element *element = backend_alloc(sizeof(*element));

	*element = (struct xml_element){.parent = parent};
	element->name = xml_copy(name, strlen(name));
	for (; attributes[0]; attributes += 2) {
		struct xml_attribute *attribute = backend_alloc(sizeof(*attribute));

		attribute->next = element->attributes;
		attribute->name = NULL;
		attribute->value = NULL;
		element->attributes = attribute;
		attribute->name = xml_copy(attributes[0], strlen(attributes[0]));
		attribute->value = xml_copy(attributes[1], strlen(attributes[1]));
	}
	if (!parent)
		builder->root = element;
	else if (parent->last)
		parent->last->next = element;
	else
		parent->first = element;
	if (parent)
		parent->last = element;
	builder->current = element;
}

static void xml_on_end(void *data, const char *name)
{
	struct xml_builder *builder = data;

	(void)name;
	builder->current = builder->current->parent;
}

static void xml_on_text(void *data, const char *bytes, int length)
{
	struct xml_builder *builder = data;
	struct xml_text *text = backend_alloc(sizeof(*text));

	text->next = builder->current->text;
	text->length = (size_t)length;
	text->bytes = NULL;
	builder->current->text = text;
	text->bytes = xml_copy(bytes, (size_t)length);
}

static struct xml_element *xml_parse(void)
{
	const XML_Memory_Handling_Suite suite = {xml_malloc, xml_realloc, xml_free};
	struct xml_builder builder = {NULL, NULL};
	XML_Parser parser = XML_ParserCreate_MM(NULL, &suite, NULL);

	XML_SetUserData(parser, &builder);
	XML_SetElementHandler(parser, xml_on_start, xml_on_end);
	XML_SetCharacterDataHandler(parser, xml_on_text);
	for (size_t at = 0; at < xml_file_size; at += XML_CHUNK) {
		size_t length = xml_file_size - at < XML_CHUNK ? xml_file_size - at : XML_CHUNK;

		if (XML_Parse(parser, xml_file + at, (int)length, at + length == xml_file_size) != XML_STATUS_OK) {
			fprintf(stderr, "xml-parse: line %lu: %s\n", XML_GetCurrentLineNumber(parser),
				XML_ErrorString(XML_GetErrorCode(parser)));
			exit(1);
		}
	}
	XML_ParserFree(parser);
	return builder.root;
}

static uint64_t xml_hash(uint64_t sum, const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		sum = (sum ^ (unsigned char)bytes[i]) * 0x100000001b3u;
	return sum;
}

static uint64_t xml_checksum(uint64_t sum, const struct xml_element *element)
{
	sum = xml_hash(sum, element->name, strlen(element->name));
	for (const struct xml_attribute *a = element->attributes; a; a = a->next)
		sum = xml_hash(xml_hash(sum, a->name, strlen(a->name)), a->value, strlen(a->value));
	for (const struct xml_text *text = element->text; text; text = text->next)
		sum = xml_hash(sum, text->bytes, text->length);
	for (const struct xml_element *child = element->first; child; child = child->next)
		sum = xml_checksum(sum, child);
	return sum;
}

static void xml_drop(struct xml_element *element)
{
	void *next;

	if (!backend_frees || !element)
		return;
	for (struct xml_element *child = element->first; child; child = next) {
		next = child->next;
		xml_drop(child);
	}
	for (struct xml_attribute *a = element->attributes; a; a = next) {
		next = a->next;
		backend_free(a->name);
		backend_free(a->value);
		backend_free(a);
	}
	for (struct xml_text *text = element->text; text; text = next) {
		next = text->next;
		backend_free(text->bytes);
		backend_free(text);
	}
	backend_free(element->name);
	backend_free(element);
}

static void xml_read(const char *path)
{
	FILE *file = fopen(path, "rbe");

	if (!file) {
		perror(path);
		exit(1);
	}
	fseek(file, 0, SEEK_END);
	xml_file_size = (size_t)ftell(file);
	rewind(file);
	xml_file = backend_alloc_leaf(xml_file_size);
	if (fread(xml_file, 1, xml_file_size, file) != xml_file_size) {
		perror(path);
		exit(1);
	}
	fclose(file);
}

int main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : "/usr/share/mime/packages/freedesktop.org.xml";
	long rounds = program_number(argc, argv, 2, 50);
	uint64_t checksum = 0;

	backend_init();
	xml_read(path);
	for (long round = 0; round < rounds; round++) {
		struct xml_element **slot = &xml_kept[round % XML_KEPT];

		xml_drop(*slot);
		*slot = NULL;
		*slot = xml_parse();
		checksum = program_checksum(checksum, xml_checksum((uint64_t)round, *slot));
	}
	for (int i = 0; i < XML_KEPT && xml_kept[i]; i++) {
		checksum = program_checksum(checksum, xml_checksum(0, xml_kept[i]));
		xml_drop(xml_kept[i]);
	}
	backend_free(xml_file);
	return program_finish("xml-parse", checksum);
}
