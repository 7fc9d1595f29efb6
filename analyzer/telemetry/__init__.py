"""Sealed telemetry in columns: what goes from ingest, a recording or a log to the engine."""
