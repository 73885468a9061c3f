"""The gate of CI: a folder of cases, the targets that it runs on, and what is expected to fail there."""
