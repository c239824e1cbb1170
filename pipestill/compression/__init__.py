"""Smaller models of trained ones: pruning, quantisation, and what they cost and take (docs/compression.md)."""
