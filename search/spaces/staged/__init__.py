"""Spaces described by a file: stages of blocks, with choices (docs/spaces.md)."""
