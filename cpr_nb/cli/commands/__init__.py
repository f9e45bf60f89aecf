"""One sub-command a file; each has ``add_arguments(parser)`` and ``run(args) -> exit code``."""
