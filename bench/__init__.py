"""Benchmarks: how fast and how well, beside what was asked for. `make bench` runs all of them and writes a report."""
