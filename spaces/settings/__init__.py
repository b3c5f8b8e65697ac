"""What a training is set by, as a file may state it: dataset, model and optimisation."""
