"""HTTP in, one service called, HTTP out."""
