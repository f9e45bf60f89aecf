"""Git worktrees and branches of tasks: made, harvested, listed, merged, cleaned away.

The only package that imports ``git``. The runner starts it as a process of its own
(``python -m cpr_nb.worktrees prepare`` and ``… harvest``), the interfaces call the functions of
`listing`, `conflicts`, `merging` and `cleaning`. See docs/worktrees.md.
"""
