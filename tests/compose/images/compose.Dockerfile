# docker compose v2, which Debian bookworm does not have.
FROM blobfleet-test/trixie
RUN apt-get update \
    && apt-get install -y --no-install-recommends docker-cli docker-compose \
    && rm -rf /var/lib/apt/lists/*
