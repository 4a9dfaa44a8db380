"""Where the workers of a sweep run: processes of this machine, or jobs of a cluster."""
