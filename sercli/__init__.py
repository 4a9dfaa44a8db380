"""sercli: an experiment runner for recurrent speech emotion recognition."""

__version__ = "0.1.0"
