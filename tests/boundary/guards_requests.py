"""The guards between interfaces, agents and the runner: where requests lie."""

from __future__ import annotations

from boundary.guard import Guard, row

GUARDS = [
    Guard(
        "a runner reads requests where it was told, and nowhere else",
        "runner/bootstrap.py",
        "RequestInbox(session.requests_dir, recorder, rules)",
        "RequestInbox(session.paths.requests, recorder, rules)",
        row("a forged request", "the runner"),
    ),
    Guard(
        "a forged runner.json leads no request astray",
        "store/request_folder.py",
        "or (not named and os.path.isdir(own))",
        "or (not named and not own)",
        "tests/store/test_request_folder.py::test_a_forged_runner_json_leads_no_request_astray",
    ),
    Guard(
        "a runner with another state directory gets no request",
        "store/request_folder.py",
        "    if not named:  #",
        "    if not own or named:  #",
        "tests/store/test_request_folder.py::"
        "test_a_runner_with_another_state_directory_is_refused_at_once",
    ),
    Guard(
        "no link is followed to requests",
        "store/requests.py",
        "os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW",
        "os.O_RDONLY | os.O_DIRECTORY",
        "tests/store/test_request_folder.py::test_a_link_in_place_of_a_folder_is_not_followed",
    ),
    Guard(
        "only an id of cpr's becomes a folder of requests",
        "store/request_folder.py",
        "    if not is_uuid(session_id):\n",
        "    if not session_id:\n",
        "tests/store/test_request_folder.py::test_no_other_folder_is_made_or_removed",
    ),
]
