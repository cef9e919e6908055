"""The embedded web page: alerts newest first, live. For whoever has no Kibana."""
