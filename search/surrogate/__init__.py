"""What the reports of a run say of any configuration, and what it is worth to learn more."""
