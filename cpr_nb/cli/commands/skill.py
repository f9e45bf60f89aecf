"""``cpr skill``: teaches a person's own Claude Code to hand work to cpr."""

from __future__ import annotations

import argparse
import os

from cpr_nb.cli import skill_file
from cpr_nb.cli.common import print_json, print_lines, print_text
from cpr_nb.cli.options import add_json
from cpr_nb.model.errors import InputError

_EXAMPLES = """\
examples:
  cpr skill install               for you, in all projects: ~/.claude/skills/cpr/SKILL.md
  cpr skill install --project     for all who work in this repository: .claude/skills/cpr/SKILL.md
  cpr skill show                  print it
"""
_WORDS = {
    skill_file.NEW: "written",
    skill_file.SAME: "is up to date, nothing was written",
    skill_file.UPDATE: "updated",
    skill_file.EDITED: "replaced, which somebody had edited",
}
_WOULD = {
    skill_file.NEW: "would be written",
    skill_file.SAME: "is up to date",
    skill_file.UPDATE: "would be updated",
    skill_file.EDITED: "would be replaced, which somebody has edited",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.epilog = _EXAMPLES
    parser.add_argument("action", choices=("install", "show"), help="install it, or print it")
    parser.add_argument(
        "--project",
        action="store_true",
        help="into the project's .claude/skills instead of your own",
    )
    parser.add_argument("--force", action="store_true", help="replace it even if it was edited")
    parser.add_argument("--dry-run", action="store_true", help="write nothing, say what would be")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Installs the skill, or prints it."""
    if args.action == "show":
        print_text(skill_file.skill_text().rstrip("\n"))
        return 0
    folder = skill_file.skills_folder(_project_top() if args.project else None)
    path = os.path.join(folder, skill_file.NAME, skill_file.FILE)
    change = skill_file.what_to_do(path)
    if change == skill_file.EDITED and not args.force:
        raise InputError(f"{path} was edited, or is not of cpr: --force replaces it")
    if change != skill_file.SAME and not args.dry_run:
        skill_file.write_skill(path)
    if args.json:
        print_json({"path": path, "change": change, "dry_run": args.dry_run})
        return 0
    print_lines([f"{path}: {(_WOULD if args.dry_run else _WORDS)[change]}"])
    if not args.dry_run and change != skill_file.SAME:
        print_lines(["Claude Code finds it when it starts the next time; /cpr calls it by name."])
    return 0


def _project_top() -> str:
    """The top folder of the repository that this is in; else the current folder."""
    here = folder = os.getcwd()
    while not os.path.lexists(os.path.join(folder, ".git")):
        if folder == os.path.dirname(folder):
            return here
        folder = os.path.dirname(folder)
    return folder
