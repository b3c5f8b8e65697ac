"""What a run keeps of functions that Python hands over: their source, and the data it uses."""
