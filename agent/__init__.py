"""The agent: observes one host and sends what it saw, host to MQTT."""
