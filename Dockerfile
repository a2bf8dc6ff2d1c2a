# syntax=docker/dockerfile:1
# A server for a model: docker build -t fastrec . && docker run -v "$PWD/data:/data" -e FASTREC_TOKEN=… -p 8000:8000 fastrec
# Its steps run without a container engine, too: .ci/container. The Python is the one that the whole suite runs on.
FROM python:3.11-slim AS build
WORKDIR /src
COPY . .
RUN pip wheel --no-cache-dir --wheel-dir /wheels ".[serve,postgresql,s3]"

FROM python:3.11-slim
# The version is that of the wheel made above: there is no index to take another from.
# hadolint ignore=DL3013
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links=/wheels "fastrec[serve,postgresql,s3]"
# Kernels are compiled for the processor that runs them: what is compiled here is used where it fits, else compiled again,
# by whatever user `user:` or --user names. None of them needs a home or an entry in the system's list.
ENV NUMBA_CACHE_DIR=/var/cache/fastrec PYTHONUNBUFFERED=1
RUN install -d -o 10001 /data && fastrec warmup && chmod -R a+rwX /var/cache/fastrec
USER 10001
VOLUME ["/data", "/var/cache/fastrec"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=3)"]
ENTRYPOINT ["fastrec", "serve"]
# The token of writers comes from the environment: FASTREC_TOKEN. Without one the server does not start on this address.
CMD ["/data/model.fastrec", "--journal", "/data/events.db", "--host", "0.0.0.0"]
