"""What trains configurations again, or decides again: confirm, audit, replay."""
