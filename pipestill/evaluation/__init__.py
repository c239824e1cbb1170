"""What predictions are worth: metrics with intervals, costs, provenance and the model card of an experiment."""
