"""Training of the packaged tiny CLIP on the drawn world."""
