"""CI systems as destinations: named values, most of which are never shown again."""
