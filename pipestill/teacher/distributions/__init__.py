"""The teacher's distributions over the next token, captured once and read by every method and seed of a study."""
