"""Replay: stored telemetry judged again, compared with what was found before.

``log`` judges the log of a run, ``recordings`` captures; ``comparison`` tells new findings from
those that are gone or the same.
"""
