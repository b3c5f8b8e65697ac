"""What happened: the journal of a run and all that is made from it."""
