"""Keyturn: sign up, log in, refresh, log out, and the authorizer that guards everything else."""

import gc

# A container starts by making some 55,000 objects that stay. Python's collector would look through them a hundred times
# and find nothing: 10 to 13 ms of a cold start's CPU. A call leaves about ten to collect; thousands of calls can wait.
gc.set_threshold(200_000)
