"""Pictures of computation graphs: what is drawn where, and as which kind of file."""
