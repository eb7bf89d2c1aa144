/* intercept.h - for the files that stand in front of functions of libc. */
#ifndef GCDUNE_INTERCEPT_H
#define GCDUNE_INTERCEPT_H

#include <dlfcn.h>

#include "os.h"

/* A function that libgcdune exports under libc's name. */
#define GCDUNE_INTERCEPT __attribute__((visibility("default")))

/* Set by a library that has these functions in it but, as it is used, no collector: calls go straight on to libc's. */
extern bool gcdune_intercept_off __attribute__((visibility("hidden")));

/* libc's own function NAME, looked up once. */
#define GCDUNE_REAL(name)                                                                                              \
	({                                                                                                             \
		static __typeof__(name) *real;                                                                         \
		if (!__atomic_load_n(&real, __ATOMIC_RELAXED))                                                         \
			__atomic_store_n(&real, (__typeof__(name) *)gcdune_intercept_next(#name), __ATOMIC_RELAXED);   \
		real;                                                                                                  \
	})

static inline void *gcdune_intercept_next(const char *name)
{
	void *function = dlsym(RTLD_NEXT, name);

	if (!function)
		gcdune_panic("%s of libc cannot be found; a fully static program must attach its threads itself", name);
	return function;
}

#endif
