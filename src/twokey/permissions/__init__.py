"""IAM policy documents, and how AWS evaluates them."""
