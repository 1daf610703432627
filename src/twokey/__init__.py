"""Rotates the access keys of AWS IAM machine users without breaking the jobs that use them."""

__version__ = "0.1.0"
