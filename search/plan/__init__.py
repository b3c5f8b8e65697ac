"""What a search will take, told before it begins: measured here, then simulated."""
