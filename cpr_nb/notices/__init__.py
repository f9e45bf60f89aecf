"""Notices: what a session sends to its user, and the program that sends it."""
