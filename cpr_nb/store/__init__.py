"""The results directory: every file name, writing (the runner only), reading, finding."""
