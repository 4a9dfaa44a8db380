"""Prediction and export with trained models."""
