"""One file for each Lambda function, and what all are composed from.

Nothing is imported here: the authorizers would load the API with it.
"""
