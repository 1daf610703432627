"""Many machine users in one run: the composition root, independent of the terminal."""
