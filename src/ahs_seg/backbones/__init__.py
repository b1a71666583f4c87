"""Backbones: networks that turn images and words into features."""
