"""`make run`: the whole of Keyturn on this machine."""
