"""In what form a credential and a journal are written down: texts, named values, and the rules for names. Pure."""
