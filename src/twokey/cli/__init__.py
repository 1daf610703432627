"""The commands: one file each. ``render.py`` is the only one that prints."""
