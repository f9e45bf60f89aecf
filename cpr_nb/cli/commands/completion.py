"""``cpr completion``."""

from __future__ import annotations

import argparse

from cpr_nb.cli.common import print_text

_SETUP_LINES = {
    "bash": 'eval "$(cpr completion bash)"     # in ~/.bashrc',
    "zsh": 'eval "$(cpr completion zsh)"      # in ~/.zshrc, after compinit',
    "fish": "cpr completion fish | source      # in ~/.config/fish/config.fish",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("shell", choices=tuple(_SETUP_LINES), help="the shell to complete in")
    parser.epilog = "\n".join(_SETUP_LINES.values())


def run(args: argparse.Namespace) -> int:
    """Prints the code that a shell needs to complete cpr."""
    from argcomplete.shell_integration import shellcode

    print_text(shellcode(["cpr"], shell=args.shell))
    return 0
