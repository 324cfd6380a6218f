"""The Code Intelligence Assistant: answers about private code with checked citations."""

__version__ = "0.1.0"
