"""The plan of a sweep: its space, its points, and the plan file."""
