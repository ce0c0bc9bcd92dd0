"""What surrounds the functions: the table, the keys, packaging, deployment, and running locally."""
