"""Small parts that several heads and backbones share."""
