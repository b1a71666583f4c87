"""Model directories: save, load, convert."""
