"""Kibana's side of the alerts: data views, a saved search and one dashboard, built from code and loaded by its own API.

:mod:`~dashboards.kibana.panels` says what is shown, :mod:`~dashboards.kibana.columns` what is counted and by what,
:mod:`~dashboards.kibana.lens` and :mod:`~dashboards.kibana.objects` how Kibana keeps it, and
:mod:`~dashboards.kibana.load` brings it there.
"""
