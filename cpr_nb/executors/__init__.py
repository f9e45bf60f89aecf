"""Where the tasks of a session run."""
