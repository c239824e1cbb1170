"""From raw files to the training files of a study; imports no torch."""
