"""The rows of the table of backends, by kind. They import nothing heavy."""
