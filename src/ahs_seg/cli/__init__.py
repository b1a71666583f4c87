"""The command line: thin, every command is a public Python call. Imports stand inside commands, so help is instant."""

from ahs_seg.cli.app import app, main

__all__ = ["app", "main"]
