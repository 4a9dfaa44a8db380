"""Finished records for other tools to show: TensorBoard and MLflow, each an optional extra."""
