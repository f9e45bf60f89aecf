"""SVG charts of a session."""
