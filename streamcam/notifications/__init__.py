"""Notifications: cameras and events told to an MQTT broker, to Home Assistant and to webhooks."""
