"""Numbers of a report: comparisons, tests, effects, subgroups; no tables."""
