#!/usr/bin/env bash
# Packs the package, installs it in an empty folder with no checkout, and there runs `npx iommud demo` and the README's program.
set -euo pipefail

repository=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

version_of() { node -p "require('$repository/package.json').devDependencies['$1']"; }

cd "$repository"
npm pack --silent --pack-destination "$folder" >/dev/null
archive=$(echo "$folder"/iommud-*.tgz)
echo "packed $(basename "$archive"): $(stat -c %s "$archive") bytes"

if tar -tzf "$archive" | grep -v '^package/client/wireshark/' | grep -E '^package/(test|server|client|\.ci)/|\.tsbuildinfo$'; then
  echo 'the package holds files that it should not' >&2
  exit 1
fi

mkdir "$folder/empty"
cd "$folder/empty"
npm init --yes >/dev/null
npm install --engine-strict --no-audit --no-fund "$archive"
npx iommud --version
npx iommud demo
# What `iommud trace` names is there.
test -f node_modules/iommud/client/wireshark/iommud.lua && test -f node_modules/iommud/proto/iommud/v1/recording.proto

# The README's first program is its first block in TypeScript. It is checked against the package's own types, then run.
awk '/^```ts/ { inside = 1; next } /^```/ && inside { exit } inside' "$repository/README.md" >first.mts
grep -q "from 'iommud" first.mts || { echo 'the first ts block of README.md imports no part of iommud' >&2; exit 1; }
npm install --no-audit --no-fund --no-save "tsx@$(version_of tsx)" "typescript@$(version_of typescript)" "@types/node@$(version_of @types/node)"
npx tsc --noEmit --strict --module nodenext --target es2023 --lib es2023,esnext.disposable,dom --types node first.mts
# The README says that it is this example, whose first line tells what it shows.
diff <(tail -n +2 "$repository/client/examples/first-reset.ts") first.mts
npx tsx first.mts | tee first.out
grep -q '00:02.0 write 0x11000: not present' first.out
