"""Checkpoints of the original projects: reading them safely and mapping their keys."""
