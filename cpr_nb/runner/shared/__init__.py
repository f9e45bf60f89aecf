"""Processes of the CLI that serve several tasks; loaded only if a session shares processes."""
