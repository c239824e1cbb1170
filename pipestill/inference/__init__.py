"""Asking models: ranking and generation, the prediction job of an experiment, and predictions by hand."""
