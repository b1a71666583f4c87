"""Heads: from dense image features and text features to logits."""
