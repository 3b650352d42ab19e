"""Search in collections: embeddings of pictures and texts, exact search, and indices on disk."""
