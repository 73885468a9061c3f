"""What a person reads: the page of a root, with the verdicts and a picture of each graph."""
