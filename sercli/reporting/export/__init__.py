"""Export of finished runs to TensorBoard and MLflow, each an optional extra."""
