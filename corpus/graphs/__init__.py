"""Computation graphs: what a network computes, as data, whatever it was written in."""
