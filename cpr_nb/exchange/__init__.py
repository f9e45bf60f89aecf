"""Sessions in the formats of other tools, out and in: nothing of a stream is held whole."""
