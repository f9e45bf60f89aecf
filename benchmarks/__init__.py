"""Benchmarks: what cpr_nb costs beside a floor and its rivals, measured side by side."""
