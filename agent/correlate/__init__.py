"""Raw facts become events with a process and the grade of its attribution."""

from agent.correlate.correlator import Correlator

__all__ = ["Correlator"]
