"""Brings a cluster to what ``cluster.platform`` lists, and tells what it would take.

``planning`` asks the server what would become of every object without changing one; ``sending`` applies them; ``waiting``
sees them become ready; ``differences``, ``ownership``, ``deletion`` and ``rendering`` are the other commands.
"""
