"""Checking gradients: of functions, of every registered op, and of the checks."""
