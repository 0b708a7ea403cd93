"""Training by several processes, started by torchrun, as if by one."""

from kerasish.distributed.exchange import Exchange
from kerasish.distributed.group import Group
from kerasish.distributed.joining import WAYS, check_way, joined, leave, speaks

__all__ = ["WAYS", "Exchange", "Group", "check_way", "joined", "leave", "speaks"]
