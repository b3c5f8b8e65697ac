"""The user's own training code and its files."""
