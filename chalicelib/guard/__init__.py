"""May this request pass? The answer for an API of any kind."""
