"""What carries over from one task to the next in a process of the CLI that serves several."""
