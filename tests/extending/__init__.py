"""A file as a user writes it, outside of the package, and what drives it through the library."""
