"""Sigma: loader, compiler, matcher, and the starter pack beside them."""
