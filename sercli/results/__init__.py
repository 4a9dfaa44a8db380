"""Results on disk: the record of a run, and the registry of published baselines."""
