"""Data sets: images and labels, split once, the test split touched once."""
