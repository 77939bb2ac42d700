"""Sends notifications, to webhooks, commands and functions; finds secrets, and keeps none."""
