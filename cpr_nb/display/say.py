"""One line for a person, where the library has to say something by itself."""

from __future__ import annotations

import sys


def say(line: str) -> None:
    """Shows a line: among a cell's output in a notebook, elsewhere on stderr."""
    stream = sys.stdout if "IPython" in sys.modules else sys.stderr
    if stream is not None:
        stream.write(f"{line}\n")
