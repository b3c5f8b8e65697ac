"""Callbacks by which a framework's trainer reports to a search; each imports its framework."""
