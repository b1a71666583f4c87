"""Reading images, videos and rasters; writing files atomically; journals, progress bars and provenance."""
