# The server and, with the command `operator`, the Communication Operator. No MongoDB in here: name yours by
# OCTOMESH_MONGO_URI. How to install both in a cluster: deploy/README.md.

# The Admin Panel and GraphiQL: files for browsers, the same on every platform.
FROM node:22-slim AS pages
WORKDIR /src/admin
COPY admin/package.json admin/package-lock.json admin/.npmrc ./
RUN npm ci --omit=dev
COPY admin ./
RUN npm run build


FROM python:3.11-slim AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src

# Packages first: this layer is made again only when the lock changes.
COPY requirements.lock requirements-build.lock ./
RUN python -m venv --without-pip /opt/octomesh \
 && pip --python /opt/octomesh install --only-binary :all: --require-hashes -r requirements.lock \
 && pip install --only-binary :all: --require-hashes -r requirements-build.lock

COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY octomesh_graphql octomesh_graphql
COPY --from=pages /src/octomesh_graphql/_web octomesh_graphql/_web
RUN pip wheel --no-index --no-deps --no-build-isolation --wheel-dir dist . \
 && pip --python /opt/octomesh install --no-index --no-deps dist/*.whl


FROM python:3.11-slim
LABEL org.opencontainers.image.title="octomesh-graphql" \
      org.opencontainers.image.description="GraphQL API server and Communication Operator for OctoMesh" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.vendor="The octomesh_graphql authors"
COPY --from=builder /opt/octomesh /opt/octomesh

# OCTOMESH_HOST: inside a container loopback reaches nobody. Listening on every address asks for an
# OCTOMESH_OIDC_ISSUER; without one the server refuses to start unless told --insecure.
ENV PATH=/opt/octomesh/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    OCTOMESH_HOST=0.0.0.0 \
    OCTOMESH_PORT=8000

# A number, so that Kubernetes can check runAsNonRoot; 65532 is the "nonroot" of distroless images.
USER 65532:65532
EXPOSE 8000 8081
# The server or, where there is none, the operator: Docker asks the same whatever the command is. Kubernetes never does,
# it has probes.
HEALTHCHECK --interval=15s --timeout=8s --start-period=30s --retries=3 \
  CMD octomesh healthcheck \
   || OCTOMESH_HOST="${OCTOMESH_OPERATOR_HEALTH_HOST:-127.0.0.1}" \
      OCTOMESH_PORT="${OCTOMESH_OPERATOR_HEALTH_PORT:-8081}" \
      octomesh healthcheck
ENTRYPOINT ["octomesh"]
CMD ["serve"]
