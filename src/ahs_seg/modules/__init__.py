"""Small tensor modules that several rooms share."""
