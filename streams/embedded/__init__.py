"""Servers that ``./wardwatch up`` brings along, so that nothing but Python need be installed."""
