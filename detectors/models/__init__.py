"""Detectors that learn, one River model per file."""
