/* expect.h - what a test expects, for tests that are not linked with libgcdune and so cannot use check.h. Writes by system
 * call and ends the process at once. Included by dune-check.h and libgc-check.h. */
#ifndef EXPECT_H
#define EXPECT_H

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))

#define CHECK(cond)                                                                                     \
	do {                                                                                            \
		if (!(cond)) {                                                                          \
			dprintf(2, "%s:%d: FAILED: expected %s (errno %d)\n", __FILE__, __LINE__, #cond, errno); \
			_exit(1);                                                                       \
		}                                                                                       \
	} while (0)

#define CHECK_EQ(actual, expected)                                                                                 \
	do {                                                                                                       \
		long long check_a = (long long)(actual), check_e = (long long)(expected);                          \
		if (check_a != check_e) {                                                                          \
			dprintf(2, "%s:%d: FAILED: %s is %lld, expected %lld (%s)\n", __FILE__, __LINE__, #actual,  \
				check_a, check_e, #expected);                                                      \
			_exit(1);                                                                                  \
		}                                                                                                  \
	} while (0)

#endif
