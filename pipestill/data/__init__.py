"""From raw files to the training files of a study; imports no torch."""

# Files of the directory in which raw data lie; a task with test sets has a file for each role.
RAW_DATA = "data.json"
RAW_ROLE = "{role}.jsonl"
RAW_MANIFEST = "manifest.json"
