"""Scheduler: recurring assessment runs, by EventBridge's schedule expressions.

``expressions`` says when, ``due`` what is to be done about it.
"""
