"""Answers: what an answer of a task is, and what each stage does with it.

A package for each kind, which the task's module makes one of: its settings and rules in ``__init__``, and a module for
each stage (``predict`` with torch, ``score`` with numpy, ``card`` for the model card, ``show`` for the report); see
:mod:`.base`.
"""
