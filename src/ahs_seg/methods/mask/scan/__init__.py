"""SCAN: mask proposals named by an adapted CLIP and a shifted one (Liu et al., CVPR 2024)."""
