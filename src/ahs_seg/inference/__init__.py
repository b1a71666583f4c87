"""Inference: an image and words in, a class and a score for every pixel out."""
