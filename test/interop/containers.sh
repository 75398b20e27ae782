#!/usr/bin/env bash
# Builds the images of docker-compose.yml and runs it for real, without a Docker engine and without pulling an image: the
# bases named in FROM are made from Debian's packages and the Node that runs here. Needs root and, by apt,
# podman buildah runc mmdebstrap docker-compose.
set -euo pipefail

# Networks and their name server have fixed places. With a view of our own of these places nothing of the machine's containers
# is touched, and what a run that was killed has left there, the name `server` among it, is not met.
places='/run/containers /run/libpod /run/netns /etc/containers/networks'
if [ "${1:-}" != --in-own-mounts ]; then
  exec unshare --mount --propagation private -- "$0" --in-own-mounts
fi
for place in $places; do
  mkdir -p "$place"
  mount -t tmpfs tmpfs "$place"
done

repository=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d)
service=''

# A store and settings of our own as well.
export CONTAINERS_CONF="$folder/containers.conf" CONTAINERS_STORAGE_CONF="$folder/storage.conf"
export DOCKER_HOST="unix://$folder/podman.sock" COMPOSE_PROJECT_NAME="iommud-ci-$$"

finish() {
  if [ -n "$service" ]; then
    (cd "$repository" && docker-compose down --volumes >/dev/null 2>&1) || true
    podman rm --all --force >/dev/null 2>&1 || true
    podman network prune --force >/dev/null 2>&1 || true
    kill "$service" 2>/dev/null || true
  fi
  podman rmi --all --force >/dev/null 2>&1 || true
  rm -rf "$folder"
}
trap finish EXIT

# crun and systemd's cgroups need not be there.
cat >"$folder/containers.conf" <<CONF
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
CONF
cat >"$folder/storage.conf" <<CONF
[storage]
driver = "overlay"
graphroot = "$folder/store"
runroot = "$folder/run"
CONF
export IOMMUD_TOKEN="${IOMMUD_TOKEN:-$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')}"
export IOMMUD_PORT="${IOMMUD_PORT:-17411}" IOMMUD_LOG_LEVEL="${IOMMUD_LOG_LEVEL:-warn}"

echo '== bases'
mmdebstrap --quiet --variant=minbase --include=ca-certificates bookworm "$folder/debian.tar"
podman import --quiet "$folder/debian.tar" docker.io/library/debian:bookworm-slim >/dev/null
rm "$folder/debian.tar"
mkdir -p "$folder/node"
cp "$(command -v node)" "$folder/node/node"
cp -r "$(npm root --global)/npm" "$folder/node/npm"
cat >"$folder/node/Containerfile" <<'CONTAINERFILE'
FROM docker.io/library/debian:bookworm-slim
COPY node /usr/local/bin/node
COPY npm /usr/local/lib/node_modules/npm
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm && ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx
CONTAINERFILE
buildah bud --quiet --isolation chroot --pull=never --tag docker.io/library/node:20-bookworm-slim "$folder/node" >/dev/null

# A machine behind a proxy has certificates of its own, which the images must not know: they are mounted while building.
cafile=${NODE_EXTRA_CA_CERTS:-/etc/ssl/certs/ca-certificates.crt}
mkdir -p "$folder/etc"
echo 'cafile=/usr/local/etc/ca.crt' >"$folder/etc/npmrc"
cp "$cafile" "$folder/etc/ca.crt"

# npm waits without end for a registry that took a connection and does not answer: a build that stalls is tried again.
build() {
  local again
  for again in yes yes no; do
    timeout --kill-after=10 5m buildah bud --quiet --format docker --isolation chroot --pull=never --layers \
      --volume "$folder/etc:/usr/local/etc:ro" --target "$1" --tag "$2" --file "$repository/server/Dockerfile" "$repository" >/dev/null && return
    [ "$again" = no ] || echo "== $2 again"
  done
  return 1
}
echo '== images'
build server docker.io/library/iommud:local
build tests docker.io/library/iommud-tests:local
podman images --format '{{.Repository}}:{{.Tag}} {{.Size}}' | grep iommud

echo '== the server image'
[ "$(podman inspect --format '{{.Config.User}}' iommud:local)" = 10001 ]
podman run --rm --entrypoint node iommud:local -e 'process.exit(process.getuid() === 10001 ? 0 : 1)'
if podman run --rm iommud:local >"$folder/refusal" 2>&1; then
  echo 'it started beyond loopback without a token' >&2
  exit 1
fi
grep -q IOMMUD_TOKEN "$folder/refusal"
podman run --detach --name one --env IOMMUD_TOKEN --read-only --cap-drop all iommud:local >/dev/null
for _ in $(seq 50); do
  # Health checks are fired by systemd, which is not here: the check itself is called.
  podman healthcheck run one >/dev/null 2>&1 && break
  sleep 0.2
done
podman healthcheck run one
podman stop --time 15 one >/dev/null
[ "$(podman inspect --format '{{.State.ExitCode}}' one)" = 0 ] || { podman logs one; echo 'SIGTERM did not end it with 0' >&2; exit 1; }
podman rm one >/dev/null

echo '== docker-compose up'
podman system service --time=0 "unix://$folder/podman.sock" >"$folder/service.log" 2>&1 &
service=$!
for _ in $(seq 50); do [ -S "$folder/podman.sock" ] && break; sleep 0.1; done
cd "$repository"
docker-compose --ansi never up --no-build --exit-code-from tests
