"""Files on this machine, read and replaced so that nobody can slip another one in."""
