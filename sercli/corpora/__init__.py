"""Corpora: readers, the manifest (one row per utterance), context turns and the audit."""
