"""The mask family: methods that predict mask proposals and class scores for each of them."""
