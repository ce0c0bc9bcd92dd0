"""The other AWS services."""
