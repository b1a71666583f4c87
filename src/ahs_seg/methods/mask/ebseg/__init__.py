"""EBSeg: mask proposals named by balanced embeddings (Shan et al., CVPR 2024)."""
