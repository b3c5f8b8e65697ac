"""Checkpoints of a trial, on any filesystem that pyarrow knows."""
