"""The command line: each command calls the public Python API. Imports are inside commands to keep `--help` fast."""

from ahs_seg.cli.app import app, main

__all__ = ["app", "main"]
