"""Every query of the dashboards, put to a real Prometheus that scraped a running stack under load; and pictures of them."""
