"""Reports: views of runs, their formats, figures and exports."""
