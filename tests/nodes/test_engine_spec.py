"""The option executor: which texts and objects it takes, and what is refused with which words."""

from __future__ import annotations

from typing import Any

import pytest
from distributed import Client

from cpr_nb.model.engine_spec import check_executor, parse_engine
from cpr_nb.model.errors import InputError

GOOD = {
    "local": ("local", ()),
    "agents": ("agents", ()),
    "slurm": ("slurm", ()),
    "slurm:--partition=a --comment='x y' -pb": ("slurm", ("--partition=a", "--comment=x y", "-pb")),
    "ssh:h1,me@h2": ("ssh", ("h1", "me@h2")),
    "ssh:ssh://me@h1:2222, [::1]": ("ssh", ("ssh://me@h1:2222", "[::1]")),
}
WRONG: dict[Any, str] = {
    "": "must be one of local, slurm, ssh, agents or a client of Dask",
    "kubernetes": "must be one of",
    "Slurm": "must be one of",
    3: "must be one of .* not int",
    "dask": r"pass executor=client",
    "local:x": "takes nothing after a colon",
    "agents:x": "takes nothing after a colon",
    "ssh": "names no host",
    "ssh: ": "names no host",
    "ssh:h1,,h2": "'' can't be a host",
    "ssh:-oProxyCommand=x": "'-oProxyCommand=x' can't be a host",
    "ssh:a b": "can't be a host",
    "ssh:h1;x": "can't be a host",
    "ssh:h1,h1": "names a host twice",
    "slurm:x.sh": "'x.sh' is no option of sbatch: write values with '='",
    "slurm:--time 4:00": "'4:00' is no option",
    "slurm:--": "'--' is no option",
    "slurm:'": "can't be split",
    "slurm:--export=ALL": "'--export=ALL' can't be passed to sbatch",
    "slurm:--wrap=id": "can't be passed",
    "slurm:-Dx": "can't be passed",
    "slurm:-J": "can't be passed",
}


@pytest.mark.parametrize("text", GOOD)
def test_a_good_text_is_read(text: str) -> None:
    spec = parse_engine(text, "executor")
    assert (spec.name, spec.words) == GOOD[text]
    assert check_executor(text, "executor") == text


@pytest.mark.parametrize("value", WRONG, ids=str)
def test_a_wrong_value_is_refused_in_words(value: Any) -> None:
    with pytest.raises(InputError, match=f"^executor: .*{WRONG[value]}"):
        check_executor(value, "executor")


def test_a_client_is_known_by_its_class_and_a_cluster_is_not_taken_for_one() -> None:
    class Own(Client):  # type: ignore[misc]
        pass

    for kind in (Client, Own):
        client = kind.__new__(kind)
        assert check_executor(client, "executor") is client
    with pytest.raises(InputError, match="is a cluster: pass its client"):
        check_executor(type("C", (), {"get_client": 1, "scheduler_address": ""})(), "executor")
