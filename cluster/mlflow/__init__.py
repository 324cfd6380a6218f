"""The registry's server."""
