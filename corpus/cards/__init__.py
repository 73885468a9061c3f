"""Cards to samples: model cards, the datasets and tasks that they name, tuples and training samples of these."""
