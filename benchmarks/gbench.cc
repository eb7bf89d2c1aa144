// gbench.cc - gbench.h on Google Benchmark. Nothing but the passing on of calls.
#include "gbench.h"

#include <benchmark/benchmark.h>

namespace
{
benchmark::State &real(gbench_state *state)
{
	return *reinterpret_cast<benchmark::State *>(state);
}

const benchmark::State &real(const gbench_state *state)
{
	return *reinterpret_cast<const benchmark::State *>(state);
}

benchmark::internal::Benchmark *real(gbench *bench)
{
	return reinterpret_cast<benchmark::internal::Benchmark *>(bench);
}

benchmark::internal::Benchmark *add(const char *name, gbench_fn fn, void *data)
{
	return benchmark::RegisterBenchmark(
		name, [fn, data](benchmark::State &state) { fn(reinterpret_cast<gbench_state *>(&state), data); });
}
} // namespace

gbench *gbench_new(const char *name, gbench_fn fn, void *data)
{
	return reinterpret_cast<gbench *>(add(name, fn, data)->UseRealTime());
}

gbench *gbench_new_manual(const char *name, gbench_fn fn, void *data)
{
	return reinterpret_cast<gbench *>(add(name, fn, data)->UseManualTime());
}

void gbench_arg(gbench *bench, int64_t arg)
{
	real(bench)->Arg(arg);
}

void gbench_args(gbench *bench, int64_t first, int64_t second)
{
	real(bench)->Args({first, second});
}

void gbench_range(gbench *bench, int64_t low, int64_t high, int factor)
{
	real(bench)->RangeMultiplier(factor)->Range(low, high);
}

void gbench_threads(gbench *bench, int threads)
{
	real(bench)->Threads(threads);
}

void gbench_iterations(gbench *bench, int64_t iterations)
{
	real(bench)->Iterations(iterations);
}

void gbench_complexity(gbench *bench)
{
	real(bench)->Complexity();
}

bool gbench_running(gbench_state *state)
{
	return real(state).KeepRunning();
}

bool gbench_batch(gbench_state *state, int64_t n)
{
	return real(state).KeepRunningBatch(n);
}

int64_t gbench_range_of(const gbench_state *state, int index)
{
	return real(state).range(static_cast<size_t>(index));
}

int gbench_thread(const gbench_state *state)
{
	return real(state).thread_index();
}

void gbench_pause(gbench_state *state)
{
	real(state).PauseTiming();
}

void gbench_resume(gbench_state *state)
{
	real(state).ResumeTiming();
}

void gbench_time(gbench_state *state, double seconds)
{
	real(state).SetIterationTime(seconds);
}

void gbench_count(gbench_state *state, const char *name, double value, bool rate)
{
	real(state).counters[name] =
		benchmark::Counter(value, rate ? benchmark::Counter::kIsRate : benchmark::Counter::kDefaults);
}

void gbench_complexity_n(gbench_state *state, int64_t n)
{
	real(state).SetComplexityN(n);
}

void gbench_skip(gbench_state *state, const char *reason)
{
	real(state).SkipWithError(reason);
}

int gbench_main(int argc, char **argv)
{
	benchmark::Initialize(&argc, argv);
	if (benchmark::ReportUnrecognizedArguments(argc, argv))
		return 2;
	benchmark::RunSpecifiedBenchmarks();
	benchmark::Shutdown();
	return 0;
}
