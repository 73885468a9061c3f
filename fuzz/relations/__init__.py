"""Pairs of models or runs that must agree on one target, whatever the reference says of either."""
