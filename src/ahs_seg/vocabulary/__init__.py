"""Words: vocabularies, prompt templates, and which classes training has seen."""
