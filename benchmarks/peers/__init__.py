"""Peers: other engines that judge the same events by the same rules.

In: rules, and a fleet's data in the form that an engine likes. Out: how many groups of each rule
fire, which must be the same numbers everywhere.
"""
