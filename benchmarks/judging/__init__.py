"""Judging: what is measured of engines, each measurement in a process of its own.

In: a ``Task``. Out: a ``Measured``, from a process that is pinned to one core and has a time limit.
"""
