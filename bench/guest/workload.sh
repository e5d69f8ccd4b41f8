#!/bin/sh
# Gives a guest the memory of a session that has worked. Run as root.
#   workload.sh disk SOURCES                  what stays on the disk, made from this directory; once
#   workload.sh memory CACHE_MIB TOTAL_MIB    what is in memory; in every guest, up to TOTAL_MIB of it in use
#   workload.sh turn                          an agent that is in the middle of a turn from now on; after `memory`
#   workload.sh finish LINE                   lets that turn end; prints what the agent said, LINE in it
#   workload.sh state                         what a suspend must not change, as text
# No zeros and no single repeated page: sources, a repository, packages, programs that run, and the verifier's pages.
set -eu
base=/workspace/bench
here=/opt/warren-bench
turn=$base/turn

disk() {
  mkdir -p "$base"
  cd "$base"
  # A repository made here, from what is here.
  cp -r "$1" origin
  (cd origin && git init -q && git add -A && git commit -qm 'as it comes')
  git clone -q origin clone
  # Packages unpacked as npm would.
  tar -cf packages.tar -C "$1" .
  mkdir unpacked
  tar -xf packages.tar -C unpacked
  cat >"$here/semver.test.mjs" <<'T'
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
const semver = createRequire('/usr/local/lib/node_modules/npm/')('semver');
for (const [version, range, inside] of [['1.2.3', '^1.0.0', true], ['2.0.0', '^1.0.0', false], ['1.9.9', '>=1.2 <2', true]]) {
  test(`${version} in ${range} is ${inside}`, () => assert.equal(semver.satisfies(version, range), inside));
}
T
  cat >"$here/holder.mjs" <<'H'
// Stands for a language server: holds the sources of a repository and an index of their words, and waits.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
const index = new Map();
const sources = [];
for (const entry of readdirSync('/workspace/bench/clone', { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !/\.(js|json|md)$/.test(entry.name)) continue;
  const at = sources.push(readFileSync(join(entry.parentPath, entry.name), 'utf8')) - 1;
  for (const word of new Set(sources[at].match(/[A-Za-z_]{3,24}/g) ?? [])) {
    if (!index.has(word)) index.set(word, []);
    index.get(word).push(at);
  }
}
writeFileSync('/run/warren-holder', `${sources.length} ${index.size}\n`);
process.stdin.resume();
H
  cat >/etc/systemd/system/warren-bench.service <<'U'
[Unit]
Description=Verifier of the benchmark
DefaultDependencies=no
[Service]
ExecStart=/opt/warren-bench/verifier serve
Restart=always
OOMScoreAdjust=-900
[Install]
WantedBy=sysinit.target
U
  systemctl --quiet enable --now warren-bench.service
  sync
}

in_use() { awk '/^MemTotal/ { t = $2 } /^MemFree/ { f = $2 } END { print int((t - f) / 1024) }' /proc/meminfo; }

memory() {
  cache_mib=$1 total_mib=$2
  node --test "$here/semver.test.mjs" >/run/warren-tests.out
  rm -f /run/warren-holder /run/warren-holder.in
  mkfifo /run/warren-holder.in
  setsid sh -c "exec node $here/holder.mjs 0<>/run/warren-holder.in" >/run/warren-holder.log 2>&1 &
  until_there /run/warren-holder /run/warren-holder.log
  tmux new-session -d -s bench -x 100 -y 30 "git -C $base/clone log --stat | head -n 20; exec sleep infinity"
  find /workspace /usr -xdev -type f -print0 | xargs -0 cat 2>/dev/null | head -c "${cache_mib}M" >/dev/null || true
  "$here/verifier" hold "$here/held" 4599
  left=$((total_mib - $(in_use)))
  [ "$left" -gt 32 ] || left=32
  "$here/verifier" fill "$left" 20261126
  in_use
}

until_there() {
  n=0
  until [ -s "$1" ]; do
    n=$((n + 1))
    [ $n -lt 600 ] || { cat "$2" >&2; exit 1; }
    sleep 0.5
  done
}

turn() {
  rm -rf "$turn"
  mkdir -p "$turn"
  setsid node "$here/agent-turn.mjs" "$turn" >"$turn/log" 2>&1 </dev/null &
  until_there "$turn/half" "$turn/log"
}

finish() {
  echo "$1" >"$turn/line"
  until_there "$turn/said" "$turn/log"
  cat "$turn/said"
}

# What a suspend must not change: who runs since when, what is open and locked, who listens, what a terminal shows, what is on
# the disk. One line each; the verifier's `check` has its own word on memory.
state() {
  echo "boot $(cat /proc/sys/kernel/random/boot_id)"
  # Node calls its main thread something else than itself.
  for what in 'verifier serve' holder.mjs 'tmux new-session' codex-acp 'read -r typed'; do
    pid=$(pgrep -o -f "$what") && echo "$what: $(cut -d' ' -f22 "/proc/$pid/stat") $pid"
  done
  daemon=$(pgrep -o -f 'verifier serve')
  for fd in "/proc/$daemon/fd/"*; do
    [ "$(readlink "$fd")" = "$here/held" ] && echo "held at $(awk '/^pos/ { print $2 }' "/proc/$daemon/fdinfo/${fd##*/}")"
  done
  flock -n "$here/held" true && echo 'lock lost' || echo 'lock held'
  awk '$4 == "0A" && $2 ~ /:11F7$/ { print "listens on 4599" }' /proc/net/tcp
  [ -s "$turn/half" ] && [ ! -e "$turn/said" ] && echo "half-done turn $(sha256sum <"$turn/frames")"
  echo "screen $(tmux capture-pane -p -t bench | sha256sum)"
  echo "tree $(cd "$base/clone" && git ls-files -z | xargs -0 cat | sha256sum)"
}

"$@"
