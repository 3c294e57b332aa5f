# Where no registry can be reached: Debian's Prometheus, Alertmanager and blackbox exporter, arranged as the official images are.
FROM python:3.11-slim AS packages
RUN apt-get update \
 && apt-get install -y --no-install-recommends prometheus prometheus-alertmanager prometheus-blackbox-exporter wget \
 && rm -rf /var/lib/apt/lists/* \
 && ln -s /usr/bin/prometheus-alertmanager /bin/alertmanager \
 && ln -s /usr/bin/prometheus-blackbox-exporter /bin/blackbox_exporter \
 && mkdir -p /prometheus /alertmanager \
 && chown nobody:nogroup /prometheus /alertmanager
USER nobody

FROM packages AS prometheus
EXPOSE 9090
VOLUME /prometheus
WORKDIR /prometheus
ENTRYPOINT ["/bin/prometheus"]
CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]

FROM packages AS alertmanager
EXPOSE 9093
VOLUME /alertmanager
WORKDIR /alertmanager
ENTRYPOINT ["/bin/alertmanager"]

FROM packages AS blackbox
EXPOSE 9115
ENTRYPOINT ["/bin/blackbox_exporter"]
