"""The parts of a built-in model's training: batches, loss, optimizer, evaluation."""
