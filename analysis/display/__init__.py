"""How numbers, scores, tables and pictures are shown to people."""
