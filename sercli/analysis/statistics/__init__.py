"""Statistical tests of differences, and what they can detect."""
