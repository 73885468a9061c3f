"""From a failing case to a small one: signatures, reduction."""
