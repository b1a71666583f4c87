"""Graphs of a method for other runtimes: what is exported, how it is written, and how it runs."""
