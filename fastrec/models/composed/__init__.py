"""Models that contain other models."""
