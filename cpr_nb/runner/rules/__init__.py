"""What decides which tasks of a session run at all: few sessions have such rules."""
