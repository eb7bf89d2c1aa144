/* program.h - what the benchmark programs share: random numbers, a checksum, arguments.
 *
 * Random numbers are ours so that every back end and every machine sees the same sequence. A program prints exactly
 * one line, its name and checksum, by program_finish: the driver compares it between back ends.
 */
#ifndef BENCHMARKS_PROGRAM_H
#define BENCHMARKS_PROGRAM_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* A Weyl sequence through a mixing function (Steele, Lea and Flood, "Fast splittable pseudorandom number
 * generators"). */
static inline uint64_t program_mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

static inline uint64_t program_random(uint64_t *state)
{
	return program_mix(*state += 0x9e3779b97f4a7c15u);
}

/* Uniform enough in [0, n), n below 2^32; a multiplication instead of a division. */
static inline uint32_t program_random_below(uint64_t *state, uint32_t n)
{
	return (uint32_t)(((program_random(state) >> 32) * n) >> 32);
}

static inline uint64_t program_checksum(uint64_t sum, uint64_t value)
{
	return program_mix(sum + value);
}

/* For what must leave nothing behind: a compiler may keep a dead pointer in a register or stack slot of a long-lived
 * frame, by chance and differently for each back end, and a conservative collector then keeps all it leads to. */
#define PROGRAM_OWN_FRAME __attribute__((noinline))

/* Makes the compiler believe that OBJECT and all it leads to are read here: what a program only keeps, and never
 * looks at again, would otherwise not be kept at all. */
static inline void program_use(const void *object)
{
	__asm__ volatile("" : : "r"(object) : "memory");
}

/* The INDEXth argument as a number, or FALLBACK where there is none. */
static inline long program_number(int argc, char **argv, int index, long fallback)
{
	return index < argc ? strtol(argv[index], NULL, 0) : fallback;
}

static inline int program_finish(const char *name, uint64_t checksum)
{
	printf("%s %016llx\n", name, (unsigned long long)checksum);
	return fflush(stdout) ? 1 : 0;
}

#endif
