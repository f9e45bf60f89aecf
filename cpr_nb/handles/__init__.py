"""Handles on sessions and tasks: views on a folder."""
