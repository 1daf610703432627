"""IAM policy documents: how they are evaluated."""
