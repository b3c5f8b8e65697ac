"""What a confirmation or an audit found, in figures and in one sentence."""
