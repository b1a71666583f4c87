"""EBSeg: mask proposals classified by a balance of three embeddings (Shan et al., CVPR 2024)."""
