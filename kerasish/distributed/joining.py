"""How a process finds the others: by what torchrun says in the environment."""

import atexit
import os
from datetime import timedelta
from typing import Any

import torch

from kerasish.checks import check_choice
from kerasish.distributed.group import Group, torch_distributed

WAYS = ("auto", "data", "zero", None)
"""What `Model(distribute)` may be."""
TIMEOUT = timedelta(seconds=float(os.environ.get("KERASISH_TIMEOUT", "120")))
"""How long a process waits for the others before it gives up: seconds in $KERASISH_TIMEOUT."""
_stores: list[Any] = []
"""Of the group that was made here."""
_LINE = "torchrun --nproc-per-node=2 train.py"


def check_way(way: str | None) -> str | None:
    """Hands back a way of training together, if it is one."""
    return None if way is None else check_choice("Model(distribute)", way, ("auto", "data", "zero"))


def joined(way: str | None) -> Group | None:
    """The processes to train with, after all of them have come; None to train alone.

    A group that there is already is used, and left to who has made it.

    Raises: RuntimeError where others are asked for and none are known of.
    """
    if way is None:
        return None
    if torch_distributed.is_available() and torch_distributed.is_initialized():
        return _group()
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        if way == "auto":
            return None
        raise RuntimeError(f"Model(distribute={way!r}) expects several processes; got no RANK and "
                           f"WORLD_SIZE in the environment. Start the script by {_LINE}")
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    store = _store(rank, size)
    torch_distributed.init_process_group(
        backend, store=store, rank=rank, world_size=size, timeout=TIMEOUT)
    atexit.register(leave)
    _stores.append(store)
    return _group()


def leave() -> None:
    """Ends the group, if there is one."""
    if torch_distributed.is_available() and torch_distributed.is_initialized():
        torch_distributed.destroy_process_group()


def speaks() -> bool:
    """Whether what this process says is to be read: of several that train together, the first's."""
    return not (torch_distributed.is_available() and torch_distributed.is_initialized()
                and torch_distributed.get_rank())


def _store(rank: int, size: int) -> Any:
    """Where they meet: another place each time torchrun starts them anew.

    What those before them have left there would lead them astray.
    """
    of_torchrun = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    store = torch_distributed.TCPStore(
        os.environ.get("MASTER_ADDR", "127.0.0.1"), int(os.environ.get("MASTER_PORT", "29500")),
        size, is_master=rank == 0 and not of_torchrun, timeout=TIMEOUT,
        multi_tenant=True)
    start = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return torch_distributed.PrefixStore(f"kerasish/{start}", store)


def _group() -> Group:
    device = "cpu"
    if torch_distributed.get_backend() == "nccl":
        device = f"cuda:{os.environ.get('LOCAL_RANK', 0)}"
    return Group(torch_distributed.get_rank(), torch_distributed.get_world_size(),
                 torch.device(device), *_stores[-1:])
