"""From failing cases to findings."""
