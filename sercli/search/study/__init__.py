"""A study: the trials of a sweep in an Optuna storage, and their summary."""
