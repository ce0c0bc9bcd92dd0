"""Logging in at identity providers, and the identities that open an account."""
