"""Grafana's dashboards, a file each, built with the Grafana Foundation SDK."""
