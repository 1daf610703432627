"""What people and programs read afterwards: the JSON documents and the status of a user."""
