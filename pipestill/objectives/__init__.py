"""Objectives: what a student is trained to do, from the rows of its training file to its loss.

A package for each: its settings and training rows in ``__init__``, and with torch ``train`` (see :mod:`.base`); losses
are in :mod:`pipestill.losses`.
"""
