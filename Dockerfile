# The build stage needs nothing but the source: a static binary, without the
# paths of this machine in it.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /sse-demo ./cmd/sse-demo
RUN mkdir /empty

# The image is that binary, an empty directory for the service's own log, and one for
# --data-file. It needs no other place to write to: docker run --read-only --tmpfs /tmp.
FROM scratch
LABEL org.opencontainers.image.title="sse-demo" \
      org.opencontainers.image.description="A reference service for Server-Sent Events" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /sse-demo /sse-demo
COPY --from=build --chown=65532:65532 --chmod=0700 /empty /tmp
COPY --from=build --chown=65532:65532 --chmod=0700 /empty /data
VOLUME /data
USER 65532:65532
ENV SSE_ADDR=:8000
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=4s CMD ["/sse-demo", "healthcheck"]
ENTRYPOINT ["/sse-demo"]
