"""The benchmark suite's driver: what there is to run (plan), how it is run and recorded (execute, records), what comes of
the runs (stats, results), and what people see of it (picture, report, why, compare). Entry: benchmarks/bench.py."""
