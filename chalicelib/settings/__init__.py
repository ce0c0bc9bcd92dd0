"""Configuration: each setting is read once, and every problem is told at once."""
