"""Intervals, differences and their p-values from one number a row: arrays in, plain numbers out.

Repeats of a row are averaged before anything else, because they are not independent of each other.
The methods and what they were tried on are in docs/statistics.md.
"""
