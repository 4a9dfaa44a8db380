"""What ``sercli bench`` runs: speed as a ratio to a named reference, within one process."""
