"""Tensors, the tape, and what goes back along it."""
