"""From raw files to the training files of a study; imports no torch."""

# Files of the directory in which raw data lie.
RAW_DATA = "data.json"
RAW_MANIFEST = "manifest.json"
