"""What Prometheus and Grafana need to watch Syncline: ``prometheus.yml``, and ``dashboard.json`` made here."""
