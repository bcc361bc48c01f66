"""Filling blanks in the browser: one page and its JSON API on loopback (Starlette on uvicorn)."""
