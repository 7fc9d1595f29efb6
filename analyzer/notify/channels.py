"""Every channel with what delivers over it; nothing connects before the first notice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.notify.apprise_urls import AppriseNotifier
from analyzer.notify.destination import Channel, Notifier
from analyzer.notify.mqtt import MqttNotifier
from analyzer.notify.sns import SnsNotifier
from analyzer.notify.webhook import WebhookNotifier

if TYPE_CHECKING:
    from analyzer.ingest.mqtt import BrokerAddress
    from rules.telemetry import Clock


def notifiers(broker: BrokerAddress, *, clock: Clock) -> dict[Channel, Notifier]:
    """Return a notifier for every channel; MQTT's uses the broker of the telemetry."""
    return {
        Channel.SNS: SnsNotifier(),
        Channel.WEBHOOK: WebhookNotifier(clock=clock),
        Channel.APPRISE: AppriseNotifier(),
        Channel.MQTT: MqttNotifier(broker),
    }
