"""Corpora: from what lies on disk to a manifest, one row per utterance."""
