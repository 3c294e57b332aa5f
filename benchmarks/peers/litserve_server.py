"""Peer: LitServe with batching."""

import sys

import litserve
import numpy as np

from benchmarks.peers.classifier import load_classifier


class ClassifierAPI(litserve.LitAPI):
    """Requests of (n, 784) pixels, several of them in one call of the model."""

    def setup(self, device):
        """Load the model in the worker."""
        self.classify = load_classifier()

    def decode_request(self, request):
        """Return pixels (n, 784)."""
        return np.array(request["images"], np.float32)

    def batch(self, inputs):
        """Join requests, which differ in their numbers of images."""
        self.ends = np.cumsum([len(images) for images in inputs])[:-1]
        return np.concatenate(inputs)

    def predict(self, images):
        """Return probabilities (N, 10)."""
        return self.classify(images).numpy()

    def unbatch(self, output):
        """Part the answer again."""
        return np.split(output, self.ends)

    def encode_response(self, output):
        """Return what becomes JSON."""
        return {"digits": output.argmax(axis=1).tolist(), "probabilities": output.tolist()}


if __name__ == "__main__":
    api = ClassifierAPI(max_batch_size=16, api_path="/predict")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    # Without the access log, which the other peers do without, too.
    server.run(host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=1, generate_client_file=False, log_level="warning")
