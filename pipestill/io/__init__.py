"""Files: never half-written, checked by digests, locked, and read line by line."""
