"""Ways to use one interface of a place: each returns what a person then reads.

The Python interfaces run in this process, the commands in one of their own. All of them have the
testkit's stub as their CLI, so no marker comes from a launch of the user's.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from typing import Any

from testkit.kernel import Kernel

from boundary.place import Place
from cpr_nb.model.errors import CprError

#: Uses an interface; returns what a person reads.
Use = Callable[[Place], str]
#: What `Use` begins with where the interface has refused.
REFUSED = "refused: "


def command(*args: str, stdin: str = "") -> Use:
    """The command with these arguments, without a terminal."""

    def use(place: Place) -> str:
        done = place.command(place.stub_env())(*args, stdin=stdin)
        place.expect("Traceback" not in done.stderr, f"a bug: {done.stderr[-400:]}")
        return (REFUSED if done.returncode == 2 else "") + done.stdout + done.stderr

    return use


def completion(line: str) -> Use:
    """What a shell offers after a line."""
    env = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line.encode()))}
    env |= {"_ARGCOMPLETE_STDOUT_FILENAME": "/dev/stdout", "_ARGCOMPLETE_IFS": "\n"}

    def use(place: Place) -> str:
        return place.command(place.stub_env())(env=env).stdout

    return use


def python(function: Callable[[Place], Any]) -> Use:
    """The library, in this process."""

    def use(place: Place) -> str:
        with place.inside(place.stub_env()):
            return _called(lambda: str(function(place)))

    return use


def magic(line: str) -> Use:
    """``%cpr`` with the rest of its line, in a shell of this process."""

    def use(place: Place) -> str:
        with place.inside(place.stub_env()), _shell() as shell:
            out = io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
                told = _called(lambda: str(shell.run_line_magic("cpr", line)))
            return told + out.getvalue()

    return use


def tab(line: str) -> Use:
    """What a notebook offers after a line with ``%cpr``."""

    def use(place: Place) -> str:
        from cpr_nb.magics.completion import complete

        with place.inside(place.stub_env()):
            return "\n".join(complete(line))

    return use


def notebook(*cells: str) -> Use:
    """Cells in a kernel, whose outputs are texts and HTML; a cell may fail."""

    def use(place: Place) -> str:
        shown = []
        with Kernel(place.work, place.stub_env()) as kernel:
            kernel.good("import cpr_nb as cpr\n%load_ext cpr_nb")
            for cell in cells:
                done = kernel(cell)
                shown += [str(bundle) for bundle in done.results()]
                shown += [done.text(), done.text("stderr"), str(done.reply)]
        return "\n".join(shown)

    return use


def _called(function: Callable[[], str]) -> str:
    from IPython.core.error import UsageError

    try:
        return function()
    except (CprError, UsageError) as error:
        return f"{REFUSED}{type(error).__name__}: {error}"


@contextlib.contextmanager
def _shell() -> Iterator[Any]:
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    shell = InteractiveShell.instance(config=config)
    try:
        shell.run_line_magic("load_ext", "cpr_nb")
        yield shell
        shell.run_line_magic("unload_ext", "cpr_nb")
    finally:
        InteractiveShell.clear_instance()
