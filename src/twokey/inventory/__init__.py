"""What an account has: collected with few requests, whatever the number of users."""
