"""From connection to handler and back."""
