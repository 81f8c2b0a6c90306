# syntax=docker/dockerfile:1.7

# One image for every role of Rolecall: `rolecall api`, `worker`, `migrate` and so on. Build it with BuildKit:
#
#   docker build -t rolecall .

FROM rust:1.95.0-bookworm AS build
WORKDIR /src
COPY . .
# amqps: the broker over TLS. The caches outlive the build, the binary must not stay in one of them.
ARG FEATURES=amqps
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --locked --profile dist --package rolecall --features "$FEATURES" \
    && install -D target/dist/rolecall /out/rolecall

FROM debian:bookworm-20250929-slim
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Rolecall" \
      org.opencontainers.image.description="Provisions PostgreSQL roles for teams through a queue" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
# A number of its own, so that a file of the host is never readable by chance; and the one folder it may write to,
# owned by it so that a volume mounted there is as well.
RUN groupadd --gid 10001 rolecall \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/rolecall --shell /usr/sbin/nologin rolecall \
    && install -d -o rolecall -g rolecall -m 0700 /var/lib/rolecall
# Whom TLS connections trust where no CA file is named.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/rolecall /usr/local/bin/rolecall
USER 10001:10001
WORKDIR /var/lib/rolecall
# api and worker; `EXPOSE` opens nothing.
EXPOSE 5000 5001
# Which answer means "healthy" depends on the role: see docker-compose.yml.
HEALTHCHECK NONE
# No init before it: the binary handles SIGTERM itself, also as process 1, and starts no processes that somebody would
# have to reap.
ENTRYPOINT ["rolecall"]
CMD ["help"]
