"""What an architecture is, without its weights: layers and connections; features, classes, labels."""
