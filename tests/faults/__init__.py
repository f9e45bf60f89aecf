"""Faults, put in on purpose: what becomes of the tasks. ``python tests/faults/run.py``."""
