"""Sends notifications: to webhooks, commands and functions. Secrets are found here, and kept by none."""
