"""Hooks as destinations: your own program or receiver delivers the credential."""
