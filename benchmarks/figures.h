/* figures.h - what a benchmark program measures of itself, beside what the driver sees from outside: named figures, the
 * latency of its operations, and the stretches in which it could not go on.
 *
 * Written as JSON to the file that $BENCH_FIGURES names, by figures_finish; without that variable everything here costs
 * next to nothing and writes nothing. Its memory comes from mmap, so that no collector scans it. One thread only.
 *
 * Latency is free of coordinated omission (G. Tene): with a rate, operation i is due at begin + i / rate, whether or not
 * the ones before are done, and its latency runs from then. A stop of 100 ms at 10,000 operations a second is therefore
 * a thousand late operations and not one. Without a rate (closed loop) latency is the time that an operation took.
 *
 * Lost time: whenever two looks at the clock, in an operation or while waiting for the next, are more than
 * FIGURES_GAP_NS apart, that stretch is recorded; the driver makes minimum mutator utilization of it. It is the same
 * measurement for every back end and includes what the operating system takes: back ends without a collector show how
 * much that is. */
#ifndef BENCHMARKS_FIGURES_H
#define BENCHMARKS_FIGURES_H

#include <stdbool.h>
#include <stdint.h>

enum { FIGURES_GAP_NS = 50000 };

/* Monotonic, in nanoseconds. */
uint64_t figures_now(void);

/* Processor time of the process so far, in seconds. */
double figures_cpu(void);

/* NAME: a string literal, of JSON's plain characters. */
void figures_set(const char *name, double value);

/* Operations begin now, RATE a second; 0: each right after the one before. */
void figures_operations(double rate);

/* Waits until the next operation is due, and its end. */
void figures_operation_begin(void);
void figures_operation_end(void);

/* Writes the file. False after a message. */
bool figures_finish(void);

/* Where the histogram counts NS, and the largest value that is counted there: within 1/64. */
unsigned figures_bucket(uint64_t ns);
uint64_t figures_bucket_top(unsigned bucket);

#endif
