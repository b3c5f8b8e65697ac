"""Many configurations, trained as one model."""
