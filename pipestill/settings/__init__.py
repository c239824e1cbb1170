"""Sections that jobs are told; they know no task and no method."""
