"""The embedded broker: nats-server as a supervised child that speaks MQTT 3.1.1."""

from __future__ import annotations

from analyzer.broker.config import BrokerSettings
from analyzer.broker.supervisor import Broker

__all__ = ["Broker", "BrokerSettings"]
