"""Kibana's side: data views, saved searches and dashboards of alerts and accesses, built from code, loaded by its API.

:mod:`~dashboards.kibana.panels` and :mod:`~dashboards.kibana.access_panels` say what is shown,
:mod:`~dashboards.kibana.columns` what is counted and by what,
:mod:`~dashboards.kibana.lens` and :mod:`~dashboards.kibana.objects` how Kibana keeps it, and
:mod:`~dashboards.kibana.load` brings it there.
"""
