"""Many trials as one model: how many, in this process or in lane groups on Ray."""
