"""One normaliser per kind of log; :mod:`streams.sources.catalog` lists them."""
