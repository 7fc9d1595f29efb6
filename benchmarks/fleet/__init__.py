"""Fleet: a day of telemetry of many hosts, made from a seed, and the rules that judge it.

In: a ``Shape``. Out: columns per host and slice, Parquet files, wire batches or lines of text, and
packs of rules. Two runs with the same shape hold the same bytes.
"""
