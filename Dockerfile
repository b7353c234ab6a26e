# Binkeeper's image: the three programs, the certificates of public authorities, and nothing else. No shell, and no
# tool, is in it: `binkeeper ping` is the health check.
#
# A build behind a proxy, or with a module mirror, names these in the environment; none is recorded in the image.
FROM golang:1.26 AS build
ARG GOPROXY GOSUMDB GOFLAGS
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION
RUN --mount=type=cache,target=/root/.cache/go-build \
    static=$([ "$(go env CGO_ENABLED)" = 0 ] || echo "-linkmode external -extldflags -static") && \
    go build -buildvcs=false -trimpath -tags netgo,osusergo -ldflags "-s -w $static -X binkeeper/internal/cli.version=$VERSION" -o /out/usr/local/bin/ ./cmd/...
RUN mkdir -p /out/etc/ssl/certs && cp /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ && mkdir /empty

FROM scratch
COPY --from=build /out /
# A named volume takes the owner of the folder that it is first mounted over: so these are writable without a shell's help.
COPY --from=build --chown=65532:65532 /empty /archive
COPY --from=build --chown=65532:65532 /empty /export
ENV PATH=/usr/local/bin
USER 65532:65532
CMD ["binkeeper", "--help"]
