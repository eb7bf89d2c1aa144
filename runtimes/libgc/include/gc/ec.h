/* ec.h - cords that grow at their end, character by character.
 *
 *	CORD_ec x; CORD_ec_init(x); CORD_ec_append(x, c)...; CORD_ec_append_cord(x, s)...; CORD_ec_to_cord(x) */
#ifndef EC_H
#define EC_H

#ifndef CORD_H
#include "cord.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

#ifndef CORD_BUFSZ
#define CORD_BUFSZ 128
#endif

/* ec_cord and then the characters of ec_buf up to ec_bufptr. */
typedef struct CORD_ec_struct {
	CORD ec_cord;
	char *ec_bufptr;
	char ec_buf[CORD_BUFSZ + 1];
} CORD_ec[1];

CORD_API void CORD_ec_flush_buf(CORD_ec x);
CORD_API void CORD_ec_append_cord(CORD_ec x, CORD s);
#define CORD_ec_to_cord(x) (CORD_ec_flush_buf(x), (x)[0].ec_cord)
#define CORD_ec_init(x) ((x)[0].ec_cord = 0, (void)((x)[0].ec_bufptr = (x)[0].ec_buf))
#define CORD_ec_append(x, c)                                                                                     \
	((void)((x)[0].ec_bufptr == (x)[0].ec_buf + CORD_BUFSZ ? (CORD_ec_flush_buf(x), 0) : 0), \
	 (void)(*(x)[0].ec_bufptr++ = (c)))

#ifdef __cplusplus
}
#endif
#endif
