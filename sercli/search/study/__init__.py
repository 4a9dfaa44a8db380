"""A study: the trials of a sweep in an Optuna storage, their states and their summary."""
