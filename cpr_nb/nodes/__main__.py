"""The node agent's start: ``python -I …/nodes/__main__.py JOIN_FILE|- [--slots N] [--name N] …``.

It runs as a file: nothing of cpr's command is loaded, so it stays small. With ``-`` the join file
comes on stdin. Its last line on stderr says why it has left.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    # After the standard library, so that nothing there can stand in its place.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from cpr_nb.nodes.join_file import JoinFile, JoinFileError
from cpr_nb.nodes.join_source import JoinSource
from cpr_nb.nodes.machine_facts import machine_facts
from cpr_nb.nodes.mirror_list import known_commits
from cpr_nb.nodes.node_place import NodePlace, lacks_room
from cpr_nb.nodes.node_shell import NodeShell
from cpr_nb.nodes.timing import LeaseTimes
from cpr_nb.nodes.twin import Twin
from cpr_nb.runner import process
from cpr_nb.store.resources import default_slots
from cpr_nb.store.whereabouts import boot_id

_OPTIONS = ("--slots", "--name", "--address")
_USAGE = "usage: cpr agent JOIN_FILE|- [--slots N] [--name NAME] [--address HOST:PORT]"
_BAD_INPUT, _REFUSED = 2, 1


def main(argv: list[str]) -> int:
    """Serves one session.

    Args:
        argv: The arguments.

    Returns:
        The exit code: 0 if it has served, or another one serves by its name; 1 if it found no
        hub, or was refused; 2 for bad input.
    """
    try:
        path, options = _parse(argv)
        text = sys.stdin.read() if path == "-" else ""
        source = JoinSource("" if path == "-" else os.path.abspath(path), text)
        join = source.read()
    except (ValueError, JoinFileError) as error:
        return _leave(str(error), _BAD_INPUT)
    name = options.get("--name") or os.uname().nodename
    try:
        place = NodePlace(join.session_id, name)
    except BlockingIOError:
        where = f"session {join.session_id} as {name} on this machine"
        return _leave(f"another node agent already serves {where}", 0)
    except OSError as error:
        return _leave(f"no place for its files: {error}", _BAD_INPUT)
    if why := lacks_room(place.folder):
        place.remove()
        return _leave(why, _BAD_INPUT)
    try:
        shell = NodeShell(_new_life(name), place.folder)
    except FileNotFoundError as error:
        place.remove()
        return _leave(str(error), _BAD_INPUT)
    return _serve(source, join, place, shell, name, options)


def _new_life(name: str) -> str:
    """What no other run of a node agent is called, on any machine."""
    return f"{name}.{os.uname().nodename}.{boot_id()[:8]}.{os.getpid()}.{os.urandom(4).hex()}"


def _serve(
    source: JoinSource,
    join: JoinFile,
    place: NodePlace,
    shell: NodeShell,
    name: str,
    options: dict[str, str],
) -> int:
    times, address = LeaseTimes(join.lease_s), options.get("--address", "")

    def on_death() -> None:
        try:
            NodePlace(join.session_id, name).remove()
        except OSError:
            pass  # another node agent has it by now
        from cpr_nb.nodes.twin_report import report_sweep

        report_sweep(source, address, shell.life, times)

    twin = Twin(shell.life, times, place.let_go, on_death)
    facts = {
        "life": shell.life,
        "name": name,
        "slots": int(options.get("--slots") or default_slots()),
        **machine_facts(join.probes),
        "mirrors": known_commits(os.path.dirname(place.folder)),
    }
    try:  # after the twin, which needs none of it
        import zmq
    except ImportError:
        twin.dismiss()
        place.remove()
        return _leave("it needs ZeroMQ: pip install 'cpr_nb[cluster]'", _BAD_INPUT)

    from cpr_nb.nodes.hub_search import HubSearch
    from cpr_nb.nodes.node_agent import AGAIN, NodeAgent
    from cpr_nb.nodes.node_runs import NodeRuns

    shell.claude_path = facts["claude_path"] or ""
    runs = NodeRuns(shell)
    context = zmq.Context()
    agent = NodeAgent(facts, times, runs, twin, HubSearch(source, address, context))
    code = agent.run()
    twin.dismiss()
    place.remove()
    if code == AGAIN:
        _begin_anew(source)
    return _leave(agent.farewell, code)


def _begin_anew(source: JoinSource) -> None:
    """Replaces this process by a new one, which has another life."""
    if source.text:
        os.dup2(process.open_prompt(source.text.encode()), 0)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606


def _parse(argv: list[str]) -> tuple[str, dict[str, str]]:
    """The path of the join file, and the options.

    Raises:
        ValueError: If they make no sense.

    Example:
        >>> _parse(["join.json", "--slots", "4"])
        ('join.json', {'--slots': '4'})
    """
    paths, options, words = [], {}, iter(argv)
    for word in words:
        flag, equals, value = word.partition("=")
        if flag in _OPTIONS:
            options[flag] = value if equals else next(words, "")
        elif word.startswith("--"):
            raise ValueError(f"unknown option {word}; {_USAGE}")
        else:
            paths.append(word)
    if len(paths) != 1:
        raise ValueError(_USAGE)
    slots = options.get("--slots", "1")
    if not slots.isascii() or not slots.isdigit() or int(slots) < 1:
        raise ValueError(f"--slots: {slots!r} is no number from 1")
    address = options.get("--address", "host:1")
    if not address.rpartition(":")[0] or not address.rpartition(":")[2].isdigit():
        raise ValueError(f"--address: {address!r} is not HOST:PORT")
    return paths[0], options


def _leave(words: str, code: int) -> int:
    if words:
        print(f"cpr agent: {words}", file=sys.stderr)
    return code


if __name__ == "__main__":
    exit_code = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(exit_code)  # ZeroMQ's own end waits for ever, at times, for a connection that broke
