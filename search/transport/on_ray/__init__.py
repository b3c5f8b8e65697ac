"""Work on a Ray cluster: starting it, the room on it, and Tune, which places the trials."""
