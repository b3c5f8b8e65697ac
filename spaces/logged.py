"""What an epoch of own code may log: images and texts."""

MOST_PER_EPOCH = 100
MOST_BYTES = 10 * 2**20  # of each
