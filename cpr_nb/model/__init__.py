"""The vocabulary of cpr_nb: states, options, tasks, stream events, outcomes, errors.

Everything in this package is pure: no files, no processes, no clock. The runner loads it,
so it also stays small: standard library only, and of that only what a bare Python has at
hand anyway (no dataclasses, no typing, no pathlib at run time).
"""
