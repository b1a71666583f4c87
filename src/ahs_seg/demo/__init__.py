"""What newcomers run first."""
