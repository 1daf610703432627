"""Beside a job: where its credentials come from, the roles it assumes with them, and how it gets them."""
