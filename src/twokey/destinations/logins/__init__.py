"""How twokey proves to a service who it is, where that is more than sending a token."""
