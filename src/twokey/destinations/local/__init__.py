"""Files on this machine, read and replaced so that no other user can substitute one."""
