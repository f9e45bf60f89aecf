"""The results directory: file names, writing (by the runner only), reading, finding."""
