"""Predicting with trained models: label ranking and its calibration."""
