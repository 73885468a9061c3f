"""The patterns, a file a theme."""
