"""Small tensor functions and modules that several packages of the library share."""
