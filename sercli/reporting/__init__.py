"""Reports: rows from records, and their forms."""
