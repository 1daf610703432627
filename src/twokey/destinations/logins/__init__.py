"""How twokey authenticates to services for which sending a token is not enough."""
