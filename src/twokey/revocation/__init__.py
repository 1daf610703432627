"""Revocation: a key has leaked. It is made Inactive first, then replaced."""
