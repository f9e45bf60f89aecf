"""The guards of the terminal: what makes text from anywhere fit to be shown."""

from __future__ import annotations

from boundary.guard import Guard, row

ATTACK = "text that drives a terminal"
CLI, NOTEBOOK = "tests/cli/test_controls.py", "tests/notebook/test_controls.py"

GUARDS = [
    Guard(
        "controls are shown by their code",
        "model/text.py",
        'return re.sub(pattern, _shown, text.replace("\\r\\n", "\\n"))',
        "return text",
        row(ATTACK, "cpr list"),
    ),
    Guard(
        "a line that the command prints stays one line",
        "cli/common.py",
        "line if line.isascii() and line.isprintable() else visible_line(line) for line in lines",
        "line for line in lines",
        f"{CLI}::test_a_line_stays_one_line",
    ),
    Guard(
        "texts that the command prints",
        "cli/common.py",
        '(out or sys.stdout).write(f"{visible(text)}\\n")',
        '(out or sys.stdout).write(f"{text}\\n")',
        row(ATTACK, "cpr logs"),
    ),
    Guard(
        "answers at a terminal",
        "cli/common.py",
        "visible(text) if sys.stdout.isatty() else text",
        "text",
        row(ATTACK, "cpr results"),
    ),
    Guard(
        "what the live view in the terminal draws",
        "cli/session_view.py",
        "return Text(visible_line(text), style, **layout)",
        "return Text(text, style, **layout)",
        f"{CLI}::test_a_watched_session_is_drawn_without_effect",
    ),
    Guard(
        "names that a shell offers",
        "cli/options.py",
        "if word and visible_line(word) == word]",
        "if word]",
        f"{CLI}::test_a_shell_is_offered_only_names_that_can_be_typed",
    ),
    Guard(
        "tracebacks of the command",
        "cli/main.py",
        'visible("".join(traceback.format_exception(kind, error, trace)))',
        '"".join(traceback.format_exception(kind, error, trace))',
        f"{CLI}::test_a_bug_is_reported_without_effect",
    ),
    Guard(
        "the text of errors",
        "model/errors.py",
        "return visible(super().__str__())",
        "return super().__str__()",
        row(ATTACK, "str of an error"),
    ),
    Guard(
        "a session as Python prints it",
        "views/formatting.py",
        """return visible_line(f"<Session {session}: {', '.join(filter(None, parts))}{spent}>")""",
        """return f"<Session {session}: {', '.join(filter(None, parts))}{spent}>\"""",
        row(ATTACK, "repr of a Session"),
    ),
    Guard(
        "a task as Python prints it",
        "handles/task_status.py",
        'return visible_line(f"<Task {self.num} {self.id} {state}>")',
        'return f"<Task {self.num} {self.id} {state}>"',
        row(ATTACK, "repr of a Task"),
    ),
    Guard(
        "a diff as Python prints it",
        "display/diff.py",
        "return visible(self.patch) or",
        "return self.patch or",
        row(ATTACK, "repr of a Diff"),
    ),
    Guard(
        "a diff in a notebook",
        "display/diff.py",
        "text = escape(visible(line)) or",
        "text = escape(line) or",
        row(ATTACK, "a Diff as HTML"),
    ),
    Guard(
        "warnings",
        "frames/queries.py",
        "warnings.warn(visible_line(text), stacklevel=stacklevel)",
        "warnings.warn(text, stacklevel=stacklevel)",
        f"{NOTEBOOK}::test_a_warning_shows_controls_by_their_code",
    ),
    Guard(
        "reports in a notebook",
        "magics/__init__.py",
        '"\\n".join(map(visible_line, lines(report)))',
        '"\\n".join(lines(report))',
        f"{NOTEBOOK}::test_a_report_shows_controls_by_their_code",
    ),
    Guard(
        "answers in a notebook",
        "cli/commands/results.py",
        "[visible(self.answer)]",
        "[self.answer]",
        f"{NOTEBOOK}::test_a_magic_shows_controls_by_their_code",
    ),
    Guard(
        "cards",
        "display/escaping.py",
        "html = str(escape(visible(str(text))))",
        "html = str(escape(str(text)))",
        row(ATTACK, "a Task as a card"),
    ),
    Guard(
        "outputs in the live view",
        "display/output.py",
        "messages += self._text_messages(name, visible(text))",
        "messages += self._text_messages(name, text)",
        "tests/display/test_output.py::test_whatever_is_shown_of_a_task_hides_nothing",
    ),
]
