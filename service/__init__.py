"""The BentoML service that answers what digit an image shows."""
