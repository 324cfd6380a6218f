"""The assistant over HTTP: a FastAPI application and its web page. ``create_app(settings)`` is all that others need."""
