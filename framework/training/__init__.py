"""`fit`, `evaluate` and `predict`: rounds, steps and scores."""
