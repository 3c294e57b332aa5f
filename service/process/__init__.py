"""How a worker's process treats memory, files and its end, and who restarts it."""
