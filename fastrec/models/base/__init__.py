"""What all models share: the protocol of a recommender, its audience, its files, its updates."""
