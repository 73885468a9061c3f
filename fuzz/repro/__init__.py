"""A finding's own papers: a script that shows it, what is known of it, a report as its tracker asks for it."""
