"""How credentials and journals are written: texts, named values, and naming rules. Pure."""
