"""Images, labels and the datasets that hold them."""
