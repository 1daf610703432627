"""One module for each service: stateful, and as strict as the service."""
