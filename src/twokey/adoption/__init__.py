"""Taking over users that were managed by hand: the decision, its execution, and what is said about it."""
