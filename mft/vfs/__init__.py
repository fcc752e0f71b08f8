"""The filesystem of a session: folders from the case system, names from the catalog, bytes from landing and store."""
