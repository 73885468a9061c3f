"""Windows of real models: cut out, typed symbolically, kept as text, placed by the generator."""
