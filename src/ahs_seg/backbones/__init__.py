"""Backbones: networks that compute image features and text embeddings."""
