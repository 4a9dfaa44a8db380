"""Collection of the examples in docstrings."""

collect_ignore_glob = ["sercli/nn/recurrence/triton/*"]
"""They have no examples, and importing kernels needs triton."""
