"""The parts of the orders API."""
