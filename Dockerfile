# The image of every role: one static binary and the sample bundle on an empty root, run by a user that is nobody.
#   docker build --build-arg VERSION="$(git describe --tags --always)" --build-arg COMMIT="$(git rev-parse HEAD)" -t mlmonitor .
FROM golang:1.26.8-bookworm AS build
WORKDIR /src
# The modules change less often than the code: they get a layer of their own.
COPY go.mod go.sum ./
RUN go mod download && go mod verify
COPY . .
ARG VERSION=dev
ARG COMMIT
ARG COMMIT_DATE
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION} -X main.commit=${COMMIT} -X main.commitDate=${COMMIT_DATE}" -o /out/mlmonitor ./cmd/mlmonitor \
 && /out/mlmonitor model check bundles/sample

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/mlmonitor /mlmonitor
COPY bundles/sample /bundles/sample
ENV BUNDLE_DIR=/bundles/sample OPS_HOST=0.0.0.0
# Numbers, since there is no /etc/passwd to look a name up in.
USER 65532:65532
# The port of score; docker-compose.yml has that of audit.
EXPOSE 9101
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 \
  CMD ["/mlmonitor", "health", "--url", "http://127.0.0.1:9101/ready"]
ENTRYPOINT ["/mlmonitor"]
CMD ["score"]
