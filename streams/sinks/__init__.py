"""Where alerts land: Elasticsearch, the embedded store, webhooks."""
