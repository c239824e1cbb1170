"""Answers that follow a JSON Schema: the engine (llguidance) says at each step which tokens may come next."""
