"""Tools beside the search: doctor, clean, describe, probe, TensorBoard."""
