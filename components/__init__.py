"""The steps of the pipelines, a file each: typed artifacts in and out, and a few lines that call ``cia``.

A step imports the project from the image it runs in; nothing is pasted into it. Parameters arrive as one group per step.
"""
