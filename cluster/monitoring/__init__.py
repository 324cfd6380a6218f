"""What the cluster's Prometheus, Alertmanager and Grafana are told: where to look, what to alert on, what to draw.

``docs/monitoring.md`` has a section for each alert.
"""
