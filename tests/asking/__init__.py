"""How the CLI asks for permission on its stream, measured with several versions."""
