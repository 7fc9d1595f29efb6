"""The server: one process from a data folder to answers over MQTT and HTTP."""
