"""Pre-training of the packaged tiny CLIP on synthetic images of the drawn world."""
