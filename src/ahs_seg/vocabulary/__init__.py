"""Vocabularies (class names and synonyms), prompt templates, and which classes were seen in training."""
