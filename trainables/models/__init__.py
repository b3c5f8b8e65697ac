"""The built-in model families and their layers."""
