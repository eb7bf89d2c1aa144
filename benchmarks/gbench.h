/* gbench.h - Google Benchmark for C: register functions, run them, count things. gbench.cc, behind it, is the only C++ here.
 *
 * A benchmark is a function that is called once for each of its arguments (and in each of its threads), does what need not
 * be timed, loops as long as gbench_running or gbench_batch says so, and returns. Names are kept: string literals. */
#ifndef BENCHMARKS_GBENCH_H
#define BENCHMARKS_GBENCH_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gbench_state;
struct gbench;
typedef void (*gbench_fn)(struct gbench_state *state, void *data);

/* ---- Registering: before gbench_main; wall time is what is measured ---- */

struct gbench *gbench_new(const char *name, gbench_fn fn, void *data);
/* One whose times are those that it gives itself, by gbench_time. */
struct gbench *gbench_new_manual(const char *name, gbench_fn fn, void *data);
/* Runs it for ARG, or for a pair, as well; the argument becomes part of the name. */
void gbench_arg(struct gbench *bench, int64_t arg);
void gbench_args(struct gbench *bench, int64_t first, int64_t second);
/* For LOW, LOW * FACTOR, ... up to HIGH. */
void gbench_range(struct gbench *bench, int64_t low, int64_t high, int factor);
/* In so many threads at once, as well. */
void gbench_threads(struct gbench *bench, int threads);
/* Exactly so many iterations instead of as many as fill the time. */
void gbench_iterations(struct gbench *bench, int64_t iterations);
/* Fits a curve over the arguments, for which the benchmark says gbench_complexity_n. */
void gbench_complexity(struct gbench *bench);

/* ---- Inside a benchmark ---- */

bool gbench_running(struct gbench_state *state);
/* Counts as N iterations, which the caller then does: for operations so short that the call would be seen. */
bool gbench_batch(struct gbench_state *state, int64_t n);
int64_t gbench_range_of(const struct gbench_state *state, int index);
int gbench_thread(const struct gbench_state *state);
void gbench_pause(struct gbench_state *state);
void gbench_resume(struct gbench_state *state);
void gbench_time(struct gbench_state *state, double seconds);
/* A figure of its own beside the time; with RATE it is divided by the time. */
void gbench_count(struct gbench_state *state, const char *name, double value, bool rate);
void gbench_complexity_n(struct gbench_state *state, int64_t n);
/* Ends it: this cannot be measured here, for REASON. Do not loop afterwards. */
void gbench_skip(struct gbench_state *state, const char *reason);

/* Takes Google Benchmark's options out of the arguments and runs what was registered; returns an exit status. */
int gbench_main(int argc, char **argv);

#ifdef __cplusplus
}
#endif
#endif
