"""Results of inference: `Segmentation`, confidence calibration, colour palettes, legends and output file formats."""
