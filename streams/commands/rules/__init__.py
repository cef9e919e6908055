"""``rules``: what a detection engineer does before rules are switched on; a file for each command."""
