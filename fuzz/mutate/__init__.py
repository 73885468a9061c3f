"""Mutation: new cases made of cases that there are, ours or a stranger's; each passes the checker and has a reference."""
