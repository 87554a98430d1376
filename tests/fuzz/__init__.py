"""A fuzzer that knows the formats: ``python -m tests.fuzz --help``."""
