"""The only package that imports botocore."""
