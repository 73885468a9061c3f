"""Inputs that make compilers do what they have not done yet: features of artefacts, what is kept, what is mutated."""
