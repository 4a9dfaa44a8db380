"""Figures of a report, one file each; nothing else of the package imports matplotlib."""
