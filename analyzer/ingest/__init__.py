"""Ingest: subscribe, decode, accept, append to the durable log, acknowledge."""
