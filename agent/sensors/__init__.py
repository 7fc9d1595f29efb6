"""What observes the host: each sensor turns kernel tables, /proc or answers into raw facts.

``LADDERS`` lists every sensor. Of each ladder the first one that works runs; whether one works is
found out by trying it on this host.
"""

from typing import Final

from agent.sensors.probe import ProbeSensor
from agent.sensors.psutil_sockets import PsutilSensor
from agent.sensors.sensor import Ladder
from agent.sensors.sockets import SockDiagSensor

__all__ = ["LADDERS", "ProbeSensor", "PsutilSensor", "SockDiagSensor"]

LADDERS: Final[tuple[Ladder, ...]] = (
    (SockDiagSensor, PsutilSensor),
    (ProbeSensor,),
)
