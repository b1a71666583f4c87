"""Results: the `Segmentation` of an image, its calibration, its colours and its file formats."""
