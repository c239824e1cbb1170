"""What a run shows on a terminal: one live line, results as they come in, and the first table at its end."""
