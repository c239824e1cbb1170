"""Sentences, gaps, templates, markers and tokens of plain text."""
