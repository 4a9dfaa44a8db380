"""A worker: claims trials of a study and trains them."""
