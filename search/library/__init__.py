"""Shoal from Python: start, resume or load a run, and work with what it found."""
