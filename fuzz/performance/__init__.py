"""Is a target slower than it should be: than its unoptimised form, than another build, than the count of operations."""
