# RabbitMQ 4.0 from Debian trixie, arranged like the official image as far as docker-compose.yml
# can tell: same paths, logs to the console, not root.
FROM blobfleet-test/trixie
RUN printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d \
    && apt-get update \
    && apt-get install -y --no-install-recommends rabbitmq-server \
    && rm -rf /var/lib/apt/lists/*
ENV RABBITMQ_LOGS=- LANG=C.UTF-8 HOME=/var/lib/rabbitmq
USER rabbitmq
VOLUME /var/lib/rabbitmq
# Debian's own wrapper sends the output to files.
CMD ["/usr/lib/rabbitmq/bin/rabbitmq-server"]
