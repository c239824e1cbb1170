"""The model layer: hardware plan, loading, adapters, prompts, saving, profile."""
