"""Many machines: the hub beside the runner, and the node agent that serves on each machine."""
