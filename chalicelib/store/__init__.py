"""The one table: its verbs, its keys, its items, and the only caller of DynamoDB."""
