"""Import of checkpoints of the original projects: safe reading, and conversion of their keys."""
