"""Features: from audio to the steps that a model sees, by way of the feature store."""
