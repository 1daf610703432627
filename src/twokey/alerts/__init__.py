"""Alerts: what the operator is told after a run, and where it is sent. ``decision`` is pure; the rest sends."""
