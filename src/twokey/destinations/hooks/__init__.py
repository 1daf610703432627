"""What the hooks share: the message, the program that is started, and what its output may show."""
