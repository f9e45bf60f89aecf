"""Guards of trust: foreign sessions are found last, used only after a yes, and only as shown."""

from __future__ import annotations

from boundary.guard import Guard, row

FOREIGN = "tests/test_foreign.py"
SHADOW = "a foreign session in the place of one's own"

GUARDS = [
    Guard(
        "a foreign session is refused",
        "launching/stored.py",
        "if not authorship.is_ours:",
        "if not authorship:",
        row("a sent results directory", "cpr retry"),
    ),
    Guard(
        "nothing runs from a folder that others may write",
        "launching/stored.py",
        "is_theirs or status.st_mode & 0o022:",
        "is_theirs:",
        f"{FOREIGN}::test_nothing_runs_from_a_folder_that_others_may_write",
    ),
    Guard(
        "ids that could lead elsewhere are refused",
        "launching/stored.py",
        ' or not all(map(_is_sound, authorship.spec["tasks"]))',
        "",
        f"{FOREIGN}::test_what_could_lead_elsewhere_is_never_run",
    ),
    Guard(
        "session.json is that of its folder",
        "store/authorship.py",
        'if spec.get("session_id") != session_id:',
        "if not session_id:",
        "tests/store/test_seal.py::test_another_folder_does_not_become_ours_by_our_session_json",
    ),
    Guard(
        "trust is for the bytes that were shown",
        "store/authorship.py",
        "if trusted.is_trusted(trusted.SESSION, total):",
        "if session_id in trusted.trusted(trusted.SESSION).values():",
        row("a foreign session that was nearly trusted", "changed after the yes"),
    ),
    Guard(
        "everything but a clear yes is a no",
        "handles/trust.py",
        'return answer.strip().lower() in ("y", "yes")',
        "return True",
        row("a foreign session that was nearly trusted", "cpr trust, Enter"),
    ),
    Guard(
        "what was changed after its launch is not trusted with the rest",
        "launching/trust.py",
        'if authorship.why not in ("", CHANGED):',
        "if authorship.why:",
        f"{FOREIGN}::test_a_rebuilt_container_costs_one_question",
    ),
    Guard(
        "reuse attaches to own sessions only",
        "launching/reuse.py",
        'return authorship.is_ours and authorship.spec.get("identity") == plan.identity',
        'return authorship.spec.get("identity") == plan.identity',
        row(SHADOW, "cpr.launch, reuse"),
    ),
    Guard(
        "reuse takes the request from under the seal",
        "launching/reuse.py",
        'return authorship.is_ours and authorship.spec.get("identity") == plan.identity',
        "return authorship.is_ours",
        f"{FOREIGN}::test_a_seal_of_another_request_does_not_bring_its_answers_here",
    ),
    Guard(
        "a map reuses answers of own sessions only",
        "launching/known_answers.py",
        "if not authorship.is_ours:",
        "if not authorship.spec:",
        "tests/test_reuse_rows.py::test_no_answer_of_a_session_that_was_changed",
    ),
    Guard(
        "a foreign retry is no newer answer of an own session",
        "views/lineage.py",
        " and (not are_own or _is_own(head))",
        "",
        f"{FOREIGN}::test_a_forged_answer_replaces_none_of_ours",
    ),
    Guard(
        "an own session goes first where a prefix or a name fits several",
        "store/catalog.py",
        "return own or matches or [one.session_id for one in launched or named]",
        "return matches or [one.session_id for one in launched or named]",
        row(SHADOW, "cpr status NAME"),
    ),
    Guard(
        "the newest session is an own one",
        "store/catalog.py",
        "sessions = [one for one in sessions if _is_own(marks, one)] or sessions",
        "sessions = [one for one in sessions if marks] or sessions",
        row(SHADOW, "cpr resume, the newest"),
    ),
    Guard(
        "a results directory that is a link must be named",
        "store/catalog.py",
        "if os.path.islink(directory):",
        "if not directory:",
        row("`results` is a link that leads elsewhere", "cpr run"),
    ),
    Guard(
        "a conversation of the journal can't become an option",
        "runner/history.py",
        'return text if is_sound and text[0] != "-" else None',
        "return text",
        f"{FOREIGN}::test_a_conversation_of_the_journal_cannot_become_an_option",
    ),
]
