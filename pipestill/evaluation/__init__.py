"""The worth of predictions: metrics with intervals, costs, provenance and the model card of an experiment."""
