"""Rationales from a language model behind an API: every answer is kept, and none is paid for twice."""
