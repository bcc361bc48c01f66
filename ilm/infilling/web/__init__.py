"""Filling blanks in the browser: one page and its JSON API (Starlette on uvicorn)."""
