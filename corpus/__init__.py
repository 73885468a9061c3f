"""Where foreign models come from."""
