"""A run in other formats: SQL, JSON."""
