"""The job that learns the digits and publishes what it learned."""
