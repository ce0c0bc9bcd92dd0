"""Records as DynamoDB items and back, by hand: boto3's serializer goes through Decimal and costs several times as much.

A module for each aggregate. Attributes are named as the records' fields. An item holds what its line of the design's
table lists and nothing else; `expires_at` is the table's TTL, which deletes late and never early.
"""
