"""``%cpr`` and ``%%cpr``: the command in a notebook, where it returns objects.

``%load_ext cpr_nb`` only registers them: their first call loads what they need.
"""

from __future__ import annotations

import sys
from typing import Any

from cpr_nb.launching import defaults

#: Types that a notebook shows as the command prints them: module, name.
_REPORTS = (
    ("cpr_nb.worktrees.merge_report", "MergeReport"),
    ("cpr_nb.worktrees.cleaning", "CleanReport"),
)
#: Frames; the module's name depends on the version of pandas.
_FRAMES = (("pandas", "DataFrame"), ("pandas.core.frame", "DataFrame"))


def load_ipython_extension(shell: Any) -> None:
    """Registers the magics, their completion, and how reports are shown.

    From then on, a launch attaches to an existing session with the same prompts (``reuse``), and
    DataFrames have ``.cpr`` as soon as pandas is loaded.

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
    # IPython would fill {x} and $x by itself and ignore unknown names; `magic` does it instead.
    unexpanded: Any = no_var_expand
    shell.register_magic_function(unexpanded(cpr), magic_kind="line_cell", magic_name="cpr")
    shell.set_hook("complete_command", complete, re_key=r".*%cpr\s")
    formatters = shell.display_formatter.formatters
    htmls, texts = formatters["text/html"], formatters["text/plain"]
    for module, name in _REPORTS:
        texts.for_type_by_name(module, name, _show_report)
    for module, name in _FRAMES:
        htmls.for_type_by_name(module, name, _frame_html)
        texts.for_type_by_name(module, name, _print_frame)
    shell.events.register("pre_run_cell", _register_accessor)
    defaults.reuse = True


def unload_ipython_extension(shell: Any) -> None:
    """Removes the magics and everything that came with them.

    Args:
        shell: The shell that unloads the extension.
    """
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("cpr", None)
    formatters = shell.display_formatter.formatters
    htmls, texts = formatters["text/html"], formatters["text/plain"]
    for module, name in _REPORTS:
        texts.pop(f"{module}.{name}", None)
    for module, name in _FRAMES:
        htmls.pop(f"{module}.{name}", None)
        texts.pop(f"{module}.{name}", None)
    shell.events.unregister("pre_run_cell", _register_accessor)
    defaults.reuse = False


def _register_accessor(_: Any) -> None:
    """Gives DataFrames their accessor as soon as pandas is loaded."""
    if "pandas" in sys.modules and "cpr_nb.pandas" not in sys.modules:
        import cpr_nb.pandas  # noqa: F401


def _show_report(report: Any, printer: Any, cycle: bool) -> None:
    from cpr_nb.cli.commands import clean, merge
    from cpr_nb.model.text import visible_line

    lines = merge.report_lines if type(report).__name__ == "MergeReport" else clean.report_lines
    printer.text("\n".join(map(visible_line, lines(report))))


def _frame_html(frame: Any) -> str | None:
    """Returns a frame as HTML: what is left of a table of ours reads as the table did."""
    from cpr_nb.frames.table_html import is_table, table_html

    html: str | None = table_html(frame) if is_table(frame) else frame._repr_html_()
    return html


def _print_frame(frame: Any, printer: Any, cycle: bool) -> None:
    from cpr_nb.frames.table_html import is_table, table_text

    printer.text(table_text(frame) if is_table(frame) else repr(frame))


HELP = """The command cpr, with the same arguments; it returns objects.

  %cpr prompts.json                   start the tasks of a file; returns a Session
  s = %cpr run -j 4 prompts.json
  df = %cpr list                      all sessions, as a DataFrame
  %cpr status 3f2a                    one session, as a Session
  %cpr --help                         all commands; %cpr run --help shows one

  %%cpr run -j 4 --worktree -o s      prompts in the cell; s becomes the Session
  Review {path}.
  ---
  Write tests for {path}.

Lines of --- separate prompts. -o NAME stores the object in a variable. {path} is filled in from the
notebook. Other braces stay as they are, and {{path}} becomes {path}. A cell may also be JSON:
{"prompts": ["…", {"id": "…", "prompt": "…"}]}.
"""
