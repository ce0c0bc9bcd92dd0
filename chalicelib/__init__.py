"""Keyturn: sign up, log in, refresh, log out, and the authorizer that guards everything else."""
