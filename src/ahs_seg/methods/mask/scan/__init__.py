"""SCAN: mask proposals classified by calibrated embeddings and by CLIP on masked crops (Liu et al., CVPR 2024)."""
