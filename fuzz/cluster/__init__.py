"""A campaign on many machines: Ray carries tasks to nodes and results back to the one driver that writes the store."""
