"""Mutation: new cases made of cases that there are, each accepted by the checker and run by the reference."""
