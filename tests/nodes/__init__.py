"""Sessions on many machines: hosts in namespaces, a real Slurm, Dask; and what breaks them."""
