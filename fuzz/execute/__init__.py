"""Cases in, executions out: targets, workers, and the loop that feeds them."""
