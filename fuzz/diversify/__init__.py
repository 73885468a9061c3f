"""Other sizes of graphs that were made: one symbolic graph gives many concrete models."""
