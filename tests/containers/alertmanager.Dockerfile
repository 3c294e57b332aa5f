# Where no registry can be reached: Debian's Alertmanager, arranged as the official image is.
FROM python:3.11-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends prometheus-alertmanager wget \
 && rm -rf /var/lib/apt/lists/* \
 && ln -s /usr/bin/prometheus-alertmanager /bin/alertmanager \
 && mkdir -p /alertmanager \
 && chown nobody:nogroup /alertmanager
USER nobody
EXPOSE 9093
VOLUME /alertmanager
ENTRYPOINT ["/bin/alertmanager"]
