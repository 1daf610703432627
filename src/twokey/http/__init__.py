"""HTTP to services other than AWS: one connection for each, paced to its limits, with an exact reading of responses."""
