"""Where credentials are delivered to: one module for each kind of destination, and the registry that finds them."""
