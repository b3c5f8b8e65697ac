"""What places trainings: the interface, and its implementations."""
