"""What predictions are worth: metrics of a run, intervals over an experiment, tests between methods."""
