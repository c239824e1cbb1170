"""Training: data, batches, losses, and a state that survives a kill."""
