"""A door: deployed functions name their handlers by this module, and a handler's name cannot change (docs/deploy.md).

The functions are in chalicelib/functions/authorizers.py.
"""

from chalicelib.functions.authorizers import authorize, authorizers, guard

__all__ = ["authorize", "authorizers", "guard"]
