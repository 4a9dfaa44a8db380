"""Benchmarks of ``sercli bench``: speed as a ratio to a named reference, in one process."""
