"""A simulated world that hunts for faults of the driver: one seed is one history."""
