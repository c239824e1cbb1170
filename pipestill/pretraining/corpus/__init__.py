"""Seeded, streaming generators of the synthetic pre-training corpus, one module per family of documents."""
