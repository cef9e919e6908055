"""What the command line does, one file per command or family of commands. :mod:`streams.cli` names them."""
