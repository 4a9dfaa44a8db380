"""Trained models in use: classify recordings, export a model."""
