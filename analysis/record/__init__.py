"""The run on disk: its folder, its journal, and the trials that the journal tells of."""
