"""The audit log: every effect of twokey, line by line, chained by hashes, and a checker that replays it."""
