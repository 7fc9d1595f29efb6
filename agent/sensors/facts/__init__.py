"""Host facts: what does not move during a run, read from files of the host.

Every reader takes a ``HostFiles``, so that a recorded host can be read as well as this one.
"""
