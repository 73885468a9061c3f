"""From choices to cases."""
