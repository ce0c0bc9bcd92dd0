"""Sessions: begun, refreshed, renewed, looked at and ended."""
