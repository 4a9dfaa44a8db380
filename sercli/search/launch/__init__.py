"""Launchers of workers: processes of this machine, or jobs of a cluster."""
