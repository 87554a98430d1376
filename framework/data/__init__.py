"""What `fit` is given, as batches."""
