# syntax=docker/dockerfile:1
# A server for a model: docker build -t fastrec . && docker run -v "$PWD/data:/data" -e FASTREC_TOKEN=… -p 8000:8000 fastrec
FROM python:3.13-slim AS build
WORKDIR /src
COPY . .
RUN pip wheel --no-cache-dir --wheel-dir /wheels ".[serve]"

FROM python:3.13-slim
# The version is that of the wheel made above: there is no index to take another from.
# hadolint ignore=DL3013
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links=/wheels "fastrec[serve]" \
    && useradd --system --uid 10001 --no-create-home fastrec \
    && mkdir -p /data /var/cache/fastrec \
    && chown fastrec /data /var/cache/fastrec
# Kernels are compiled for the processor that runs them: what is compiled here is used where it fits, else compiled again.
ENV NUMBA_CACHE_DIR=/var/cache/fastrec PYTHONUNBUFFERED=1
USER 10001
RUN ["fastrec", "warmup"]
VOLUME ["/data", "/var/cache/fastrec"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=3)"]
ENTRYPOINT ["fastrec", "serve"]
# The token of writers comes from the environment: FASTREC_TOKEN. Without one the server does not start on this address.
CMD ["/data/model.fastrec", "--journal", "/data/events.db", "--host", "0.0.0.0"]
