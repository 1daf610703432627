"""One module for each service: stateful, and unkind where the service is."""
