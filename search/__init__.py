"""How a search runs: decisions, transports, sessions and the command line."""
