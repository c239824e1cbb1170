"""Metrics: the catalogue of all that are measured, and those of generated text; none needs torch but BERTScore."""
