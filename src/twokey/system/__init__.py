"""This machine: its environment variables, files, programs, and the hardening of this process."""
