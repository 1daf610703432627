"""Secrets stores: destinations that can be read back and keep a journal beside the credential."""
