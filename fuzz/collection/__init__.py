"""Real models run by the hundred: built, exported, executed, judged, timed, reported."""
