"""``cpr completion``."""

from __future__ import annotations

import argparse

from cpr_nb.cli.common import print_lines

_HOW = {
    "bash": 'eval "$(cpr completion bash)"     # in ~/.bashrc',
    "zsh": 'eval "$(cpr completion zsh)"      # in ~/.zshrc, after compinit',
    "fish": "cpr completion fish | source      # in ~/.config/fish/config.fish",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("shell", choices=tuple(_HOW), help="the shell")
    parser.epilog = "\n".join(_HOW.values())


def run(args: argparse.Namespace) -> int:
    """Prints the code that gives a shell the completion of cpr."""
    from argcomplete.shell_integration import shellcode

    print_lines([shellcode(["cpr"], shell=args.shell)])
    return 0
