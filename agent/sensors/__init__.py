"""What observes the host: each sensor turns kernel tables, /proc or answers into raw facts.

``LADDERS`` lists every sensor, the better ones first: where two sensors see one thing, the
correlation hears the better one first. Of each ladder the first one that works runs; whether one
works is found out by trying it on this host.
"""

from typing import Final

from agent.sensors.facts.sensor import FactsSensor, SshdConfigSensor
from agent.sensors.packets import PacketSensor
from agent.sensors.perf import PerfSensor
from agent.sensors.probe import ProbeSensor
from agent.sensors.proc_sockets import ProcSensor
from agent.sensors.psutil_sockets import PsutilSensor
from agent.sensors.sensor import Ladder
from agent.sensors.sockets import SockDiagSensor

__all__ = [
    "LADDERS",
    "FactsSensor",
    "PacketSensor",
    "PerfSensor",
    "ProbeSensor",
    "ProcSensor",
    "PsutilSensor",
    "SockDiagSensor",
    "SshdConfigSensor",
]

LADDERS: Final[tuple[Ladder, ...]] = (
    (PacketSensor,),
    (PerfSensor,),
    (SockDiagSensor, ProcSensor, PsutilSensor),
    (ProbeSensor,),
    (FactsSensor,),
    (SshdConfigSensor,),
)
