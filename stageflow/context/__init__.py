"""What a running stage can see."""
