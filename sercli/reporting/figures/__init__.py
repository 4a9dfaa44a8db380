"""Figures of a report. No other module of the package imports matplotlib."""
