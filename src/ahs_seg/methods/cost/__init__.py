"""The cost family: CLIP's similarity of patches and words, aggregated into a segmentation."""
