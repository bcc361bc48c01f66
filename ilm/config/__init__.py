"""The configuration: what may be set, its checks, and the typed objects that the rest of the package takes."""
