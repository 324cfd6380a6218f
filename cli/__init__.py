"""The ``cia`` command: it parses, calls and prints; the work is in the other rooms."""
