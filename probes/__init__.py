"""Everything that touches a model: task, recipe, the training loop, measurements, profile."""
