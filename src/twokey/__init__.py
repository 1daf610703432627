"""Rotates the access keys of AWS IAM machine users so that nobody who depends on them notices."""

__version__ = "0.1.0"
