# The images that compose builds. Targets: serve (CPU, no TensorFlow), train, serve-gpu.
#
# Each has a stage of its own that installs the locked packages; from there only the packages are taken, so that pip's
# leftovers stay behind and a change of code installs nothing again.

FROM python:3.11-slim AS pip
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# Without pip: the packages are put in from outside, and nobody adds to them afterwards.
RUN python -m venv --without-pip /opt/venv
WORKDIR /opt/venv/lib/python3.11/site-packages


FROM python:3.11-slim AS runtime
LABEL org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    BENTOML_HOME=/bentoml \
    BENTOML_DO_NOT_TRACK=True
WORKDIR /app
# A volume that is mounted here for the first time takes over this owner.
RUN mkdir -p /bentoml/models && chown -R 10001:10001 /bentoml


FROM runtime AS service
EXPOSE 3000
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=2 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:3000/readyz', timeout=2)"]
# A proxy must close an idle connection before the service does, or it may send into one that is closing. BENTOML_CONTAINERIZED
# is not set: with it a worker that dies is not started again.
CMD ["bentoml", "serve", "service.service:DigitClassifier", "--host", "0.0.0.0", "--port", "3000", "--timeout-graceful-shutdown", "15", \
     "--timeout-keep-alive", "60"]


FROM pip AS serve-packages
COPY requirements/serve.txt /tmp/
# What is removed is never loaded here: LiteRT's WebGPU and accelerator plug-ins and its tools, tests, type stubs.
RUN pip --python /opt/venv/bin/python install --require-hashes --only-binary :all: -r /tmp/serve.txt \
 && rm -rf ai_edge_litert/tools ai_edge_litert/vendors ai_edge_litert/libLiteRtWebGpuAccelerator.so \
 && find . -type d -name tests -prune -exec rm -rf {} + \
 && find . -name '*.pyi' -delete


FROM service AS serve
COPY --from=serve-packages /opt/venv /opt/venv
COPY models models
COPY service service
USER 10001:10001
ARG REVISION=unknown
LABEL org.opencontainers.image.title="digit-classifier" \
      org.opencontainers.image.description="Answers which digit an image shows, on the CPU." \
      org.opencontainers.image.revision=$REVISION


FROM pip AS train-packages
COPY requirements/train.txt /tmp/
RUN pip --python /opt/venv/bin/python install --require-hashes --only-binary :all: -r /tmp/train.txt \
 && find . -type d -name tests -prune -exec rm -rf {} +


FROM runtime AS train
COPY --from=train-packages /opt/venv /opt/venv
COPY data data
COPY models models
COPY training training
USER 10001:10001
# A job, not a service: nothing in it could be asked whether it is well.
HEALTHCHECK NONE
ENTRYPOINT ["python", "-m", "training"]
ARG REVISION=unknown
LABEL org.opencontainers.image.title="digit-classifier-training" \
      org.opencontainers.image.description="Trains the digit classifier on MNIST and publishes it to a model store." \
      org.opencontainers.image.revision=$REVISION


FROM pip AS gpu-packages
COPY requirements/gpu.txt /tmp/
RUN pip --python /opt/venv/bin/python install --require-hashes --only-binary :all: -r /tmp/gpu.txt \
 && find . -type d -name tests -prune -exec rm -rf {} +


FROM service AS serve-gpu
# What NVIDIA's container runtime brings in: the driver, and NVML, which says whether there is a GPU.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=gpu-packages /opt/venv /opt/venv
COPY models models
COPY service service
USER 10001:10001
ARG REVISION=unknown
LABEL org.opencontainers.image.title="digit-classifier-gpu" \
      org.opencontainers.image.description="Answers which digit an image shows, on a GPU where there is one." \
      org.opencontainers.image.revision=$REVISION
