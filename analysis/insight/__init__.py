"""What a run shows: which parameters mattered, what failed and where, groups of trials compared."""
