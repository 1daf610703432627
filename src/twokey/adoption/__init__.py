"""Taking over users that were managed outside twokey: the decision, its execution, and the report."""
