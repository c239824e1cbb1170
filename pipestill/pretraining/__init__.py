"""The project's own base models: tokenizer, synthetic corpus, initialisation, training loop, probes and model card."""
