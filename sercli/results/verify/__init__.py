"""Verification: a record is whole, and its numbers follow from its predictions."""
