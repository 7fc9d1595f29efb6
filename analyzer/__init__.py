"""Analyzer: MQTT in, durable telemetry, judgement by rules, findings out."""
