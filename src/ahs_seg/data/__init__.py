"""Datasets of labelled images: interface, folders, benchmarks, the synthetic drawn world, and augmentation."""
