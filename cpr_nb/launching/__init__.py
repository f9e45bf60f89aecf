"""From prompts to a session folder with a runner."""
