"""JSON Schemas that answers follow: what is accepted, what is written by them, and whether a value is valid."""
