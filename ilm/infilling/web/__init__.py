"""Filling blanks in the browser: one page and its JSON API on loopback, with the standard library's server."""
