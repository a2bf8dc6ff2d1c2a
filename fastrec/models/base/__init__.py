"""The base of all models: the protocol of a recommender, its audience, files and updates."""
