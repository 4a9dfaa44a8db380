"""Configuration: the typed schema, composing by Hydra, and the sweep grammar."""
