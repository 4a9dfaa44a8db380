"""Hyperparameter search: the plan of a sweep, its trials in an Optuna storage, and its workers."""
