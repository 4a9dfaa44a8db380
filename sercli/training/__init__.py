"""Training: folds, batches, the trainer, metrics."""
