"""An untrusted PNG or JPEG becomes 28×28 as MNIST has them."""
