"""The oracle for nondeterminism: one case run on one target in ways that must not matter."""
