"""What a session does is the same, wherever its tasks run."""
