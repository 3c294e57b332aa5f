"""What each API says: bytes to images, predictions to bytes."""
