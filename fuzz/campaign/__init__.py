"""The whole loop for as long as one likes: generate, execute, judge, reduce, store."""
