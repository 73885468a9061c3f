"""`fuzz run` as a service: turns over targets, new releases noticed, a diary by day, metrics for Prometheus."""
