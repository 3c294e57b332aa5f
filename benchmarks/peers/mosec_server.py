"""Peer: Mosec with dynamic batching."""

import numpy as np
from mosec import Server, Worker

from benchmarks.peers.classifier import load_classifier


class Classifier(Worker):
    """JSON requests of (n, 784) pixels, several of them in one call of the model."""

    def __init__(self):
        super().__init__()
        self.classify = load_classifier()

    def forward(self, data):
        """Return an answer for each request."""
        inputs = [np.array(request["images"], np.float32) for request in data]
        ends = np.cumsum([len(images) for images in inputs])[:-1]
        outputs = np.split(self.classify(np.concatenate(inputs)).numpy(), ends)
        return [{"digits": each.argmax(axis=1).tolist(), "probabilities": each.tolist()} for each in outputs]


if __name__ == "__main__":
    server = Server()
    server.append_worker(Classifier, num=1, max_batch_size=16, max_wait_time=1, route="/predict")
    server.run()
