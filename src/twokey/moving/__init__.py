"""Moving a user to another store."""
