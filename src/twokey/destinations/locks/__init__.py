"""Locks: a conditional write elsewhere, for stores that have none. One module for each kind."""
