"""Pure functions from bytes to facts: hostile bytes end in ``DecodeError``, never elsewhere."""
