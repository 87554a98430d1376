"""Models: functional, sequential, and what they share."""
