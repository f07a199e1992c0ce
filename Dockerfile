# gokr-rsyncd from scratch: Node, its libraries, the program in one piece, licences, bill of materials; no shell, nothing writable.
#
#   docker build -t gokr-rsyncd .
#   docker run --read-only -p 873:8730 -v /srv/pub:/modules/pub:ro gokr-rsyncd
#
# Every directory below /modules is a module named like it. A configuration at /etc/gokr-rsyncd.toml is read as well.
# deploy/compose.yaml and deploy/kubernetes.yaml have all locks on. Both architectures: docker buildx build --platform linux/amd64,linux/arm64

FROM debian:bookworm-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates libatomic1 npm
WORKDIR /build
COPY package.json package-lock.json ./
# The npm of Debian 12 removes the link to the pinned Node together with the package of the other architecture; rebuild makes it again.
RUN npm ci --ignore-scripts --no-audit --no-fund && npm rebuild --ignore-scripts
COPY LICENSE ./
COPY deploy/with-node.sh deploy/with-node.sh
COPY deploy/build deploy/build
COPY src src
ENV SOURCE_DATE_EPOCH=315532800
RUN npm run build:root -- /root-of-image

FROM scratch
LABEL org.opencontainers.image.title="gokr-rsyncd" \
      org.opencontainers.image.description="Read-only rsync server that an operator can put on the open internet" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="BSD-3-Clause"
COPY --from=build /root-of-image /
USER 65534:65534
EXPOSE 8730
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s CMD ["/bin/node", "/usr/lib/gokr-rsyncd/gokr-rsyncd.mjs", "--healthcheck", "--gokr.listen=[::]:8730", "--modules-in=/modules"]
ENTRYPOINT ["/bin/node", "--disable-warning=ExperimentalWarning", "--disallow-code-generation-from-strings", "/usr/lib/gokr-rsyncd/gokr-rsyncd.mjs"]
CMD ["--daemon", "--gokr.listen=[::]:8730", "--modules-in=/modules"]
