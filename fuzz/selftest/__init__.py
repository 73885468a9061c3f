"""Is the judge itself sound: legal recomputations must never be called wrong, planted faults must be found."""
