"""The contract with the CLI: what cpr promises, tried with the user's own CLI, offline.

``cpr doctor --probe`` starts it as a process of its own, in an environment that holds nothing of
the user's, and prints its table.
"""
