"""Where credentials go: one file for each kind of place, and the registry that finds them by name."""
