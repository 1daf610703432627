"""The audit log: what was done to the outside world, line by line, chained by hashes, and replayed by a checker."""
