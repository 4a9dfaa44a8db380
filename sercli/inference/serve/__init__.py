"""A page on the local machine that classifies recordings."""
