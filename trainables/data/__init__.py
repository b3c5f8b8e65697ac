"""Datasets: read whole, cut into splits, held on the device."""
