"""Tuners: which weights of a backbone train, and how."""
