"""Identity tokens (OpenID Connect): get one from the CI system that this runs in."""
