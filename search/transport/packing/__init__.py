"""How many trials share a GPU: measured before the search, with ``resources: {gpus: pack}``."""
