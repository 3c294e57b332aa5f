# The images that compose builds. Targets: serve (CPU, no TensorFlow), train, serve-gpu.
#
# Packages come before code, so that a change of code installs nothing again, and only as wheels, so that no image ever
# needs a compiler. They are installed for root and used by a user who cannot change them.

FROM python:3.11-slim AS runtime
LABEL org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/venv/bin:$PATH \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    BENTOML_HOME=/bentoml \
    BENTOML_DO_NOT_TRACK=True
# A volume that is mounted in /bentoml/models for the first time takes over this owner.
RUN python -m venv --without-pip /opt/venv \
 && mkdir -p /bentoml/models \
 && chown -R 10001:10001 /bentoml
WORKDIR /app


FROM runtime AS service
# The default, 127.0.0.1, would be reached by nobody outside the container.
ENV BENTOML_HOST=0.0.0.0
EXPOSE 3000
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=2 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:3000/readyz', timeout=2)"]
# A proxy must close an idle connection before the service does, or it may send into one that is closing. BENTOML_CONTAINERIZED
# is not set: with it BentoML does not restart a worker that dies.
CMD ["bentoml", "serve", "service.service:DigitClassifier", "--port", "3000", "--timeout-graceful-shutdown", "15", \
     "--timeout-keep-alive", "60"]


FROM service AS serve
COPY requirements/serve.txt requirements/
# What is removed is never loaded here: LiteRT's WebGPU and accelerator plug-ins and its tools, tests, type stubs.
RUN pip --python /opt/venv/bin/python install --require-hashes --only-binary :all: -r requirements/serve.txt \
 && packages=/opt/venv/lib/python3.11/site-packages \
 && rm -rf "$packages"/ai_edge_litert/tools "$packages"/ai_edge_litert/vendors "$packages"/ai_edge_litert/libLiteRtWebGpu* \
 && find "$packages" -type d -name tests -prune -exec rm -rf {} + \
 && find "$packages" -name '*.pyi' -delete
COPY models models
COPY service service
USER 10001:10001
ARG REVISION=unknown
LABEL org.opencontainers.image.title="digit-classifier" \
      org.opencontainers.image.description="Answers which digit an image shows, on the CPU." \
      org.opencontainers.image.revision=$REVISION


FROM runtime AS train
COPY requirements/train.txt requirements/
RUN pip --python /opt/venv/bin/python install --require-hashes --only-binary :all: -r requirements/train.txt \
 && find /opt/venv -type d -name tests -prune -exec rm -rf {} +
COPY data data
COPY models models
COPY training training
USER 10001:10001
# A job, not a service: it answers no requests.
HEALTHCHECK NONE
ENTRYPOINT ["python", "-m", "training"]
ARG REVISION=unknown
LABEL org.opencontainers.image.title="digit-classifier-training" \
      org.opencontainers.image.description="Trains the digit classifier on MNIST and publishes it to a model store." \
      org.opencontainers.image.revision=$REVISION


FROM service AS serve-gpu
# What NVIDIA's container runtime brings in: the driver, and NVML, which says whether there is a GPU.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY requirements/gpu.txt requirements/
RUN pip --python /opt/venv/bin/python install --require-hashes --only-binary :all: -r requirements/gpu.txt \
 && find /opt/venv -type d -name tests -prune -exec rm -rf {} +
COPY models models
COPY service service
USER 10001:10001
ARG REVISION=unknown
LABEL org.opencontainers.image.title="digit-classifier-gpu" \
      org.opencontainers.image.description="Answers which digit an image shows, on a GPU where there is one." \
      org.opencontainers.image.revision=$REVISION
