"""What is to be done, decided from an observation alone. Pure: no I/O, no clock, no randomness."""
