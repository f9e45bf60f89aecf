"""Takes over a session whose runner may live on another machine, where nobody can see it."""

from __future__ import annotations

from types import TracebackType

from cpr_nb.model import states
from cpr_nb.model.errors import SessionNotUsable
from cpr_nb.store import claims
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.read import read_session, runner_host


class Takeover:
    """A claim to a session, made while its new runner is started.

    Leaving the context with an error withdraws it.

    Args:
        paths: The session's paths.
        refusal: How an error begins.
        number: The number of the claim.
    """

    def __init__(self, paths: SessionPaths, refusal: str, number: int) -> None:
        self._paths, self._refusal, self._number = paths, refusal, number

    @classmethod
    def of_silent(cls, paths: SessionPaths, session_id: str, *, force: bool) -> Takeover:
        """Prepares a takeover, if nothing was written for long enough.

        Args:
            paths: The session's paths.
            session_id: Its id.
            force: Whether silence does not matter.

        Raises:
            SessionNotUsable: If its runner may still live.
        """
        refusal = f"can't resume {session_id}: "
        # The number first: a claim that somebody makes from now on is noticed.
        number = claims.newest_claim(paths) + 1
        if not force:
            _check_silence(paths, refusal)
        return cls(paths, refusal, number)

    def __enter__(self) -> int:
        try:
            claims.make_claim(self._paths, self._number)
        except FileExistsError:
            raise SessionNotUsable(
                f"{self._refusal}another resume was faster: it has claimed the session"
            ) from None
        except OSError as error:
            raise _unwritable(self._refusal, error) from None
        return self._number

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            claims.withdraw_claim(self._paths, self._number)


def risk(paths: SessionPaths) -> str:
    """Returns what it risks to take a session over that is not silent yet, in one line."""
    return (
        f"force: if the runner on {runner_host(paths)} still lives, its tasks run twice until it "
        "sees that the session was taken over, and ends them (seconds, or a minute)"
    )


def _check_silence(paths: SessionPaths, refusal: str) -> None:
    try:
        now_s = claims.now_s(paths)
    except OSError as error:
        raise _unwritable(refusal, error) from None
    tasks = read_session(paths.root).tasks or []
    streams = [paths.newest_stream(t) for t in tasks if t.get("state") != states.ENDED]
    last_s = claims.last_sign_s(paths, streams)
    silent_s = claims.SILENCE_S if last_s is None else now_s - last_s
    if silent_s < claims.SILENCE_S:
        left_min = -int(-(claims.SILENCE_S - silent_s) // 60)
        raise SessionNotUsable(
            f"{refusal}it is unreachable: its runner on {runner_host(paths)} can't be seen from "
            f"here, and something was written {max(0.0, silent_s):.0f} s ago; resume it there, or "
            f"here in {left_min} min if nothing is written until then, or now with --force "
            "(s.resume(force=True)) if you know that the runner is gone"
        )


def _unwritable(refusal: str, error: OSError) -> SessionNotUsable:
    return SessionNotUsable(
        f"{refusal}its folder can't be written: {error.strerror}: {error.filename}"
    )
