"""Whether a difference is real: tests, and what they can tell, one to a file."""
