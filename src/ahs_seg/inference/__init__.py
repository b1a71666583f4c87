"""Inference: a class and a score for every pixel of an image, from the image and its class names."""
