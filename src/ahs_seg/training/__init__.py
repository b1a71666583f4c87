"""The only place with a trainer."""
