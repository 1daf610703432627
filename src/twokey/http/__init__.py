"""HTTP to services other than AWS: one connection for each, paced to its limits, whose every answer is told apart."""
