"""``%cpr`` and ``%%cpr``: the command in a notebook, which returns objects there.

``%load_ext cpr_nb`` registers them, and nothing more: what they need is loaded by their first call.
"""

from __future__ import annotations

import sys
from typing import Any

from cpr_nb.launching import defaults

#: Types that a notebook shows as the command would print them: module, name.
_REPORTS = (
    ("cpr_nb.worktrees.merge_report", "MergeReport"),
    ("cpr_nb.worktrees.cleaning", "CleanReport"),
)


def load_ipython_extension(shell: Any) -> None:
    """Registers the magics, their completion, and how reports are shown.

    From now on a launch attaches to the session that was asked the same (``reuse``), and every
    DataFrame has ``.cpr`` once there are any.

    Args:
        shell: The shell that loads the extension.
    """
    from IPython.core.magic import no_var_expand

    def cpr(line: str, cell: str | None = None) -> Any:
        from cpr_nb.magics.magic import call

        return call(shell, line, cell)

    def complete(_: Any, event: Any) -> list[str]:
        from cpr_nb.magics.completion import complete

        return complete(event.text_until_cursor)

    cpr.__doc__ = HELP
    # IPython would fill {x} and $x itself, and leave what it does not know: see `magic`.
    as_it_is: Any = no_var_expand
    shell.register_magic_function(as_it_is(cpr), magic_kind="line_cell", magic_name="cpr")
    shell.set_hook("complete_command", complete, re_key=r".*%cpr\s")
    texts = shell.display_formatter.formatters["text/plain"]
    for module, name in _REPORTS:
        texts.for_type_by_name(module, name, _show_report)
    shell.events.register("pre_run_cell", _register_accessor)
    defaults.reuse = True


def unload_ipython_extension(shell: Any) -> None:
    """Takes them back.

    Args:
        shell: The shell that unloads the extension.
    """
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("cpr", None)
    texts = shell.display_formatter.formatters["text/plain"]
    for module, name in _REPORTS:
        texts.pop(f"{module}.{name}", None)
    shell.events.unregister("pre_run_cell", _register_accessor)
    defaults.reuse = False


def _register_accessor(_: Any) -> None:
    """Gives DataFrames their accessor as soon as somebody has loaded pandas."""
    if "pandas" in sys.modules and "cpr_nb.pandas" not in sys.modules:
        import cpr_nb.pandas  # noqa: F401


def _show_report(report: Any, printer: Any, cycle: bool) -> None:
    from cpr_nb.cli.commands import clean, merge

    lines = merge.report_lines if type(report).__name__ == "MergeReport" else clean.report_lines
    printer.text("\n".join(lines(report)))


HELP = """The command cpr, with the same words; it returns objects.

  %cpr prompts.json                   start the tasks of a file: a Session
  s = %cpr run -j 4 prompts.json
  df = %cpr list                      all sessions: a DataFrame
  %cpr status 3f2a                    a Session
  %cpr --help                         all commands; %cpr run --help: one of them

  %%cpr run -j 4 --worktree -o s      prompts in the cell, parted by lines of ---; s is the Session
  Review {path}.
  ---
  Write tests for {path}.

-o NAME gives the object a name. {path} is filled from the notebook; other braces stay as they are,
and {{path}} is {path}. A cell may also be JSON: {"prompts": ["…", {"id": "…", "prompt": "…"}]}.
"""
