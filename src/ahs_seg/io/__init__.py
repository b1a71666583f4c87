"""Files in and out: images, videos, rasters, and writing that never leaves half a file."""
