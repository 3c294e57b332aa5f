"""What training and serving share: shapes, architectures, exported graphs, the model card. Code, never weights."""
