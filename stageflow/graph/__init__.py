"""What runs after what, and running it."""
