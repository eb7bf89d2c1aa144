"""Statistics that the suite needs: medians with their spread, pause distributions, minimum mutator utilization, and whether
two sets of runs differ. Pure functions of numbers; test/test-bench-suite.sh checks them against known values."""
import math
import statistics

WINDOWS_MS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000]


def summary(values):
    """None of no values. Spread: (maximum - minimum) / median."""
    values = [v for v in values if v is not None]
    if not values:
        return None
    middle = statistics.median(values)
    return {"n": len(values), "median": middle, "low": min(values), "high": max(values),
            "spread": (max(values) - min(values)) / abs(middle) if middle else 0.0, "values": values}


def geometric_mean(values):
    values = [v for v in values if v and v > 0]
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def quantile(ordered, share):
    """Of values in ascending order: the smallest that at least SHARE of them do not exceed."""
    return ordered[min(len(ordered) - 1, max(0, math.ceil(share * len(ordered)) - 1))] if ordered else None


def pause_summary(lengths_ns):
    ordered = sorted(lengths_ns)
    if not ordered:
        return None
    counts = {}
    for length in ordered:  # in quarters of a decade, from 1 us
        bucket = max(0, math.floor(4 * math.log10(max(length, 1) / 1e3)))
        counts[bucket] = counts.get(bucket, 0) + 1
    return {"count": len(ordered), "total_ms": sum(ordered) / 1e6,
            **{name: quantile(ordered, share) / 1e6 for name, share in
               (("p50_ms", .5), ("p90_ms", .9), ("p99_ms", .99), ("p999_ms", .999), ("max_ms", 1))},
            "quarter_decades": sorted(counts.items())}


def utilization(gaps, span_ns, window_ns):
    """The least share of any window of that length, within [0, span_ns), that was not lost (Cheng and Blelloch 2001).
    GAPS: (start, length), by start, not overlapping. A worst window begins where a gap begins or ends where one ends."""
    if not gaps or span_ns <= 0:
        return 1.0
    window_ns = min(window_ns, span_ns)
    starts = [g[0] for g in gaps]
    ends = [g[0] + g[1] for g in gaps]
    before = [0]
    for _, length in gaps:
        before.append(before[-1] + length)
    most = 0
    last = 0
    for first in range(len(gaps)):  # windows that begin where a gap begins
        end = starts[first] + window_ns
        last = max(last, first)
        while last + 1 < len(gaps) and starts[last + 1] < end:
            last += 1
        most = max(most, before[last + 1] - before[first] - max(0, ends[last] - end))
    first = 0
    for last in range(len(gaps)):  # windows that end where a gap ends
        begin = ends[last] - window_ns
        while ends[first] <= begin:
            first += 1
        most = max(most, before[last + 1] - before[first] - max(0, begin - starts[first]))
    return max(0.0, 1 - most / window_ns)


def utilization_curve(gaps, span_ns):
    return [[ms, utilization(gaps, span_ns, ms * 1e6)] for ms in WINDOWS_MS if ms * 1e6 <= span_ns]


def rank_test(a, b):
    """Two-sided exact p-value of Mann and Whitney's test, for few values (ties count half)."""
    import itertools
    if len(a) * len(b) == 0 or len(a) + len(b) > 16:
        a, b = a[:8], b[:8]
    if not a or not b:
        return 1.0
    both = a + b

    def u(chosen):
        mine = [both[i] for i in chosen]
        rest = [both[i] for i in range(len(both)) if i not in chosen]
        return sum((x > y) + .5 * (x == y) for x in mine for y in rest)
    middle = len(a) * len(b) / 2
    seen = abs(u(set(range(len(a)))) - middle)
    extreme = total = 0
    for chosen in itertools.combinations(range(len(both)), len(a)):
        total += 1
        extreme += abs(u(set(chosen)) - middle) >= seen - 1e-9
    return extreme / total


def differ(a, b, least=0.03):
    """Whether runs A and B show a change: medians more than LEAST apart, and either the rank test says so (p < 0.05) or,
    where there are too few runs for it ever to, the ranges do not overlap."""
    if not a or not b:
        return False
    x, y = statistics.median(a), statistics.median(b)
    if x == y or abs(x - y) <= least * max(abs(x), abs(y)):
        return False
    best_p = 2 / math.comb(len(a) + len(b), len(a))
    if best_p < .05:
        return rank_test(a, b) < .05
    return max(a) < min(b) or max(b) < min(a)


def busy(results):
    """Whether other work was going on: the suite itself keeps one or two threads running."""
    return results["load"]["median"] > .9 * max(2, results["machine"]["cores"])
