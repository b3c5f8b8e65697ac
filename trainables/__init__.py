"""What is trained: data, models and trainings, and the workers that run them."""
