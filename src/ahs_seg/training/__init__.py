"""Training: recipe, loop, optimizer, data sampling, checkpoints and logs."""
