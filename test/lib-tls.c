/* lib-tls.c - a library with thread-local data, too much for the static TLS block, so that each thread's part is
 * allocated when it is first used. */
#include <stddef.h>

#define COUNT 20000

void lib_tls_set(size_t index, void *object);
void *lib_tls_get(size_t index);

static __thread void *slots[COUNT] __attribute__((tls_model("global-dynamic")));

void lib_tls_set(size_t index, void *object)
{
	slots[index * 13 % COUNT] = object;
}

void *lib_tls_get(size_t index)
{
	return slots[index * 13 % COUNT];
}
