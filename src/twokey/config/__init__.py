"""The configuration: ``twokey.yaml`` and the flags of the command line become the same frozen values."""
