"""The mask family: mask proposals and a class score for each of them."""
