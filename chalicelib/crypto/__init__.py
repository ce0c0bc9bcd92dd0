"""The only room that does cryptography, and that knows PyJWT, argon2-cffi and cryptography."""
