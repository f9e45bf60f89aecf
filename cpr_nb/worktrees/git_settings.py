"""Settings and variables with which git does the same on every machine."""

from __future__ import annotations

import os

#: Settings that could break a command of ours, execute something, or hide that a file has changed,
#: set to values that do not.
#: Settings that decide the content of files (filters, line ends, ignored files) stay the user's.
NEUTRAL = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.editor": ":",
    "core.pager": "cat",
    "core.safecrlf": "false",
    "core.trustctime": "true",
    "core.checkStat": "default",
    "core.alternateRefsCommand": "true",
    "commit.gpgSign": "false",
    "tag.gpgSign": "false",
    "merge.verifySignatures": "false",
    "merge.autoStash": "false",
    "merge.ff": "true",
    "rerere.enabled": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "submodule.recurse": "false",
    "status.showUntrackedFiles": "all",
    "status.relativePaths": "false",
    "status.submoduleSummary": "false",
    "diff.ignoreSubmodules": "all",
    "color.ui": "false",
    "color.status": "false",
    "color.diff": "false",
    "color.branch": "false",
    "worktree.guessRemote": "false",
    "worktree.useRelativePaths": "false",
    "branch.autoSetupMerge": "false",
    "branch.autoSetupRebase": "never",
    "i18n.commitEncoding": "UTF-8",
    "i18n.logOutputEncoding": "UTF-8",
    "log.showSignature": "false",
    "core.warnAmbiguousRefs": "false",
}
#: Commands that compare files, and the flag that keeps them out of repositories inside a folder.
COMPARING = frozenset(("status", "diff", "diff-files", "diff-index"))
IGNORE_INSIDE = "--ignore-submodules=dirty"
#: Variables that would point a command of ours at another repository, or change what it does.
# fmt: off
REMOVED_VARIABLES = frozenset((
    "GIT_DIR", "GIT_WORK_TREE", "GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR",
    "GIT_NAMESPACE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_QUARANTINE_PATH", "GIT_CONFIG", "GIT_CONFIG_PARAMETERS", "GIT_GRAFT_FILE",
    "GIT_SHALLOW_FILE", "GIT_REPLACE_REF_BASE", "GIT_PREFIX", "GIT_NO_REPLACE_OBJECTS",
    "GIT_INTERNAL_SUPER_PREFIX", "GIT_ATTR_SOURCE", "GIT_INDEX_VERSION", "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS", "GIT_EXTERNAL_DIFF",
    "GIT_DIFF_OPTS", "GIT_TEMPLATE_DIR", "GIT_REFLOG_ACTION", "GIT_AUTHOR_DATE",
    "GIT_COMMITTER_DATE", "GIT_EDITOR", "GIT_SEQUENCE_EDITOR", "GIT_PAGER", "GIT_TRACE",
    "GIT_TRACE_SETUP", "GIT_TRACE_PACKET", "GIT_TRACE_PERFORMANCE", "GIT_CURL_VERBOSE",
    "GIT_OPTIONAL_LOCKS",
))
# fmt: on
#: Variables that every command of ours gets.
SET_VARIABLES = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_PAGER": "cat"}
#: Who commits where the user has not configured a name.
NEUTRAL_IDENTITY = ("cpr", "cpr@localhost")


def removed_variables() -> list[str]:
    """The variables of this process that git must not see."""
    return sorted(REMOVED_VARIABLES & os.environ.keys())


def clean_own_environment() -> None:
    """Removes these variables from this process: for a process that is ours alone."""
    for name in removed_variables():
        del os.environ[name]
