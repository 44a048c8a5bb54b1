"""Benchmarks: each module runs by itself (`python -m bench.bench_NAME`), all of them by `make bench`."""
