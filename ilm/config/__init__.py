"""The configuration: schemas, checks, and the typed settings used by the rest of the package."""
