"""The detached process that works through a session: standard library only."""
