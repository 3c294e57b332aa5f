# Where no registry can be reached: Debian's blackbox exporter, arranged as the official image is.
FROM python:3.11-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends prometheus-blackbox-exporter wget \
 && rm -rf /var/lib/apt/lists/*
USER nobody
EXPOSE 9115
ENTRYPOINT ["/usr/bin/prometheus-blackbox-exporter"]
