"""From executions to verdicts."""
