"""Images in, predictions out: one model, one queue, one batch at a time."""
