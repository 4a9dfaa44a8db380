"""Views of a report: each makes tables from records."""
