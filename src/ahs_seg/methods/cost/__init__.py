"""The cost family: the cost volume of CLIP's patch features and text embeddings, aggregated to class logits."""
