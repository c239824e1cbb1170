"""Trained models as plain directories of transformers, for use without this project."""
