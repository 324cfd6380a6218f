"""Everything that a cluster needs beside training and serving, and the engine that applies it all.

``platform`` lists the objects; the folders beside it say whose they are.
"""
