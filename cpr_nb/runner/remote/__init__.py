"""The runner's side of nodes: other machines on which its tasks run. A plain session loads none."""
