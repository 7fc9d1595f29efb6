"""Notify: tells the outside what happened, at least once, without ever holding up a run.

``notice`` is what is told, ``dispatcher`` what brings it from the outbox to its destination; one
module per channel knows how.
"""
