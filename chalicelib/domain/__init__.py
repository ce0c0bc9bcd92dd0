"""Records and rules. Pure: no clock, no environment, no table."""
