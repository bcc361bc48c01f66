"""From documents and masks to token ids with target types."""
