"""The user's own tables and arrays: read, cut, and prepared as their training split tells."""
