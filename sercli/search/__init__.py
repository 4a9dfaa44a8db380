"""The search: a plan of points, their states in an Optuna storage, and the sweep over them."""
