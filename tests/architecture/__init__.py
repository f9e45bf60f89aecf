"""The shape of the code, held by tests: its names, its sizes, its import circles and its layers."""
