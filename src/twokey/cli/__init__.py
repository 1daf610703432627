"""The commands: one file each. ``terminal.py`` is the only one that prints."""
