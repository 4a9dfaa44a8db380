"""Configuration of all tests: Triton's interpreter, and the collection of examples."""

import os

# Triton reads it when it is imported, which torch does early.
os.environ.setdefault("TRITON_INTERPRET", "1")

collect_ignore_glob = ["sercli/nn/recurrence/triton/*"]
"""They have no examples, and importing kernels needs triton."""

pytest_plugins = ["helpers.forks"]
