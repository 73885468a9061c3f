"""Search spaces of neural architecture search: ten families of networks, each from its published definition."""
