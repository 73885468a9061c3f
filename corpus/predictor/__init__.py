"""What a network will take, told from its computation graph: a graph neural network, its baselines and its measures."""
