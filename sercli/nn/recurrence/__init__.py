"""The loops over time that recurrent cells run in."""
