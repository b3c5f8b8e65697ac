"""Means of a few scores, their intervals, and the range in which scores live."""
