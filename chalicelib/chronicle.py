"""A door: the deployed function names its handler by this module, and a handler's name cannot change (docs/deploy.md).

The function is in chalicelib/functions/chronicle.py.
"""

from chalicelib.functions.chronicle import chronicle, keep

__all__ = ["chronicle", "keep"]
