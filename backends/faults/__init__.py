"""Faults to plant in any backend, by name: what compilers get wrong, for a test of the fuzzer itself."""
