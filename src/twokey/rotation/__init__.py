"""One machine user's rotation, performed."""
